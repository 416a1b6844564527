// Stands in for diego-sshd, with the libraries it has: what a command sees of a client that comes
// and goes is theirs. Not here: forwarding, scp, sftp, and the client's terminal modes.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
)

const (
	keepalivePeriod = 15 * time.Second // TCP's, as Go has it, and that of a session on a terminal
	statusUnknown   = 255
)

var signals = map[ssh.Signal]syscall.Signal{
	ssh.SIGABRT: syscall.SIGABRT, ssh.SIGALRM: syscall.SIGALRM, ssh.SIGFPE: syscall.SIGFPE,
	ssh.SIGHUP: syscall.SIGHUP, ssh.SIGILL: syscall.SIGILL, ssh.SIGINT: syscall.SIGINT,
	ssh.SIGKILL: syscall.SIGKILL, ssh.SIGPIPE: syscall.SIGPIPE, ssh.SIGQUIT: syscall.SIGQUIT,
	ssh.SIGSEGV: syscall.SIGSEGV, ssh.SIGTERM: syscall.SIGTERM, ssh.SIGUSR1: syscall.SIGUSR1,
	ssh.SIGUSR2: syscall.SIGUSR2,
}

func main() {
	address := flag.String("address", "0.0.0.0:2222", "")
	hostKey := flag.String("host-key", "", "a file")
	authorizedKey := flag.String("authorized-key", "", "a file")
	keepalive := flag.Duration("keepalive", keepalivePeriod, "TCP's, idle time and interval")
	flag.Parse()

	config, err := configure(*hostKey, *authorizedKey)
	if err != nil {
		log.Fatal(err)
	}
	listenConfig := net.ListenConfig{KeepAlive: *keepalive}
	listener, err := listenConfig.Listen(context.Background(), "tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serveConnection(connection, config)
	}
}

func configure(hostKeyFile, authorizedKeyFile string) (*ssh.ServerConfig, error) {
	config := &ssh.ServerConfig{ServerVersion: "SSH-2.0-diego-sshd"}
	config.KeyExchanges = []string{"curve25519-sha256@libssh.org"}
	config.Ciphers = []string{"aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"}
	config.MACs = []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"}

	content, err := os.ReadFile(hostKeyFile)
	if err != nil {
		return nil, err
	}
	hostKey, err := ssh.ParsePrivateKey(content)
	if err != nil {
		return nil, err
	}
	config.AddHostKey(hostKey)

	if content, err = os.ReadFile(authorizedKeyFile); err != nil {
		return nil, err
	}
	authorized, _, _, _, err := ssh.ParseAuthorizedKey(content)
	if err != nil {
		return nil, err
	}
	config.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(authorized.Marshal()) {
			return nil, errors.New("not the authorized key")
		}
		return &ssh.Permissions{}, nil
	}
	return config, nil
}

func serveConnection(connection net.Conn, config *ssh.ServerConfig) {
	defer connection.Close()
	server, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		log.Print("handshake: ", err)
		return
	}
	go ssh.DiscardRequests(requests) // answers keepalives
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, offered.ChannelType())
		} else if channel, requests, err := offered.Accept(); err == nil {
			go newSession(channel).serve(requests)
		}
	}
	log.Print("connection ended: ", server.Wait())
}

type size struct{ Columns, Rows, Width, Height uint32 }

type session struct {
	channel    ssh.Channel
	env        map[string]string
	command    *exec.Cmd
	onTerminal bool
	size       size
	terminal   *os.File      // the master's side
	shown      chan struct{} // closed when nothing more comes from it
	ended      chan struct{}
	end        sync.Once
}

func newSession(channel ssh.Channel) *session {
	s := &session{channel: channel, env: map[string]string{}, ended: make(chan struct{})}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if name != "PATH" {
			s.env[name] = value
		}
	}
	return s
}

// serve returns when the client is gone or has closed the channel: the command is not told.
func (s *session) serve(requests <-chan *ssh.Request) {
	for request := range requests {
		accepted := s.accept(request)
		if request.WantReply {
			_ = request.Reply(accepted, nil)
		}
		if accepted && (request.Type == "exec" || request.Type == "shell") {
			s.start()
		}
	}
	s.close()
}

func (s *session) accept(request *ssh.Request) bool {
	switch request.Type {
	case "env":
		var message struct{ Name, Value string }
		if ssh.Unmarshal(request.Payload, &message) != nil {
			return false
		}
		s.env[message.Name] = message.Value
		return true
	case "pty-req":
		return s.acceptTerminal(request.Payload)
	case "window-change":
		return ssh.Unmarshal(request.Payload, &s.size) == nil && s.resize() == nil
	case "signal":
		return s.signal(request.Payload)
	case "exec":
		var message struct{ Command string }
		return ssh.Unmarshal(request.Payload, &message) == nil && s.prepare("-c", message.Command)
	case "shell":
		return s.prepare()
	}
	return false
}

func (s *session) acceptTerminal(payload []byte) bool {
	var message struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if ssh.Unmarshal(payload, &message) != nil {
		return false
	}
	s.onTerminal = true
	s.size = size{message.Columns, message.Rows, message.Width, message.Height}
	s.env["TERM"] = message.Term
	return true
}

func (s *session) resize() error {
	if s.terminal == nil {
		return nil
	}
	return pty.Setsize(s.terminal, &pty.Winsize{Cols: uint16(s.size.Columns), Rows: uint16(s.size.Rows)})
}

// signal reaches the shell, not what the shell has started.
func (s *session) signal(payload []byte) bool {
	var message struct{ Signal string }
	if ssh.Unmarshal(payload, &message) != nil {
		return false
	}
	if number, known := signals[ssh.Signal(message.Signal)]; known && s.command != nil && s.command.Process != nil {
		_ = s.command.Process.Signal(number)
	}
	return true
}

func (s *session) prepare(arguments ...string) bool {
	if s.command != nil {
		return false
	}
	s.command = exec.Command(shell(), arguments...)
	s.command.Env = []string{"PATH=/bin:/usr/bin", "LANG=en_US.UTF8"}
	for name, value := range s.env {
		if name != "HOME" && name != "USER" {
			s.command.Env = append(s.command.Env, name+"="+value)
		}
	}
	s.command.Env = append(s.command.Env, "HOME="+os.Getenv("HOME"), "USER="+os.Getenv("USER"))
	return true
}

func shell() string {
	for _, name := range []string{"/bin/bash", "/usr/local/bin/bash", "/bin/sh", "bash", "sh"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return "/bin/sh"
}

func (s *session) start() {
	start := s.startOnPipes
	if s.onTerminal {
		start = s.startOnTerminal
	}
	if err := start(); err != nil {
		s.finish(err)
		return
	}
	go func() { s.finish(s.command.Wait()) }()
}

// startOnPipes gives os/exec a Stdout and Stderr that are no files: it copies from pipes of its own, and
// closes its end of one only when a write to the channel has failed.
func (s *session) startOnPipes() error {
	s.command.Stdout, s.command.Stderr = s.channel, s.channel.Stderr()
	stdin, err := s.command.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(stdin, s.channel) // until the client sends EOF or is gone
		_ = stdin.Close()
	}()
	return s.command.Start()
}

func (s *session) startOnTerminal() error {
	master, slave, err := pty.Open()
	if err != nil {
		return err
	}
	defer slave.Close()
	s.terminal, s.shown = master, make(chan struct{})
	_ = s.resize()
	s.command.Stdin, s.command.Stdout, s.command.Stderr = slave, slave, slave
	s.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(master, s.channel) }()
	go func() {
		_, _ = io.Copy(s.channel, master)
		close(s.shown)
		_ = s.channel.CloseWrite()
	}()
	if err := s.command.Start(); err != nil {
		return err
	}
	go s.hangUpWhenGone()
	return nil
}

// hangUpWhenGone is how a silent command on a terminal learns that its client is gone.
func (s *session) hangUpWhenGone() {
	ticker := time.NewTicker(keepalivePeriod)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-ticker.C:
			if _, err := s.channel.SendRequest("keepalive@cloudfoundry.org", true, nil); err != nil {
				_ = s.command.Process.Signal(syscall.SIGHUP)
				return
			}
		}
	}
}

// finish tells the client how the command ended.
func (s *session) finish(err error) {
	status := struct{ Status uint32 }{0}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		wait := exit.Sys().(syscall.WaitStatus)
		if wait.Signaled() {
			s.sendExitSignal(wait)
			s.close()
			return
		}
		status.Status = uint32(wait.ExitStatus())
	} else if err != nil {
		status.Status = statusUnknown
	}
	_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(status))
	s.close()
}

func (s *session) sendExitSignal(wait syscall.WaitStatus) {
	message := struct {
		Signal      string
		CoreDumped  bool
		Error, Lang string
	}{CoreDumped: wait.CoreDump()}
	for name, number := range signals {
		if number == wait.Signal() {
			message.Signal = string(name)
		}
	}
	_, _ = s.channel.SendRequest("exit-signal", false, ssh.Marshal(message))
}

// close shows what a terminal still has to say first.
func (s *session) close() {
	s.end.Do(func() {
		if s.terminal != nil {
			<-s.shown
		}
		_ = s.channel.Close()
		if s.terminal != nil {
			_ = s.terminal.Close()
		}
		close(s.ended)
	})
}
