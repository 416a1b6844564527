"""A user on his own machine: OpenSSH's client in the cell's network; in the container its sshd, or
the stand-in for diego-sshd, and nginx as stand-in for the TLS proxy in front of app and sshd."""
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from container import Container
from support import USER, Namespace, enter_namespace, wait_until

ESTABLISHED, LISTEN = "01", "0A"  # as /proc/net/tcp has them
ENVOY_PORTS = ('[{"external":61012,"internal":8080,"external_tls_proxy":61014,"internal_tls_proxy":61001},'
               '{"external":61013,"internal":2222,"external_tls_proxy":61015,"internal_tls_proxy":61002}]')
PLAIN_PORTS = '[{"external":61001,"internal":8080},{"external":61002,"internal":2222}]'

# Both notice within seconds that the network is cut: minutes as they are.
SERVERS = {
    "openssh": ["/usr/sbin/sshd", "-D", "-e", "-f", "/home/vcap/ssh/config"],
    "diego-sshd": ["/home/vcap/ssh/diego-sshd", "-host-key", "/home/vcap/ssh/host_key",
                   "-authorized-key", "/home/vcap/ssh/user_key.pub", "-keepalive", "1s"],
}

# diego-sshd sets no SSH_CONNECTION; PLAIN_SSH keeps it, for a container with an ordinary sshd.
SSHD_CONFIG = """
Port 2222
HostKey /home/vcap/ssh/host_key
AuthorizedKeysFile /home/vcap/ssh/user_key.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
PrintMotd no
PrintLastLog no
ClientAliveInterval 1
ClientAliveCountMax 2
MaxStartups 50
AcceptEnv CF_INSTANCE_PORTS PLAIN_SSH
ForceCommand [ -n "$PLAIN_SSH" ] || unset SSH_CONNECTION SSH_CLIENT; exec bash -c "$SSH_ORIGINAL_COMMAND"
"""

SSH_CONFIG = """
Host *
    User vcap
    HostName {address}
    Port 2222
    IdentityFile {folder}/user_key
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
    SendEnv CF_INSTANCE_PORTS PLAIN_SSH
Host app-tls
    ProxyCommand openssl s_client -quiet -verify_quiet -connect {address}:61002
"""

NGINX_CONFIG = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid /home/vcap/nginx/pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path /home/vcap/nginx/body;
    proxy_temp_path /home/vcap/nginx/proxy;
    fastcgi_temp_path /home/vcap/nginx/fastcgi;
    uwsgi_temp_path /home/vcap/nginx/uwsgi;
    scgi_temp_path /home/vcap/nginx/scgi;
    server {{
        listen {address}:61001 ssl;
        ssl_certificate /home/vcap/nginx/cert;
        ssl_certificate_key /home/vcap/nginx/key;
        location / {{ proxy_pass http://127.0.0.1:8080; }}
    }}
}}
stream {{
    server {{
        listen {address}:61002 ssl;
        ssl_certificate /home/vcap/nginx/cert;
        ssl_certificate_key /home/vcap/nginx/key;
        proxy_pass 127.0.0.1:2222;
    }}
}}
"""


def make_keys(folder):
    """What the servers need, once for all containers."""
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=app", "-days", "2", "-keyout", folder / "key", "-out", folder / "cert"],
                   check=True, stderr=subprocess.DEVNULL)


def sockets(container, port, state):
    """How many TCP sockets of the container have that local port and state. Go listens on IPv6 for both."""
    lines = [line.split() for table in ("tcp", "tcp6")
             for line in Path(f"/proc/{container.init.pid}/net/{table}").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == state for line in lines)


class Remote:
    """The container's services, and what its user runs at home, in a folder of his."""

    def __init__(self, container: Container, keys, folder, server, env=None):
        self.container, self.folder = container, folder
        self.config = folder / "ssh_config"
        self.config.write_text(SSH_CONFIG.format(address=container.ADDRESS, folder=keys))
        self.clients = []
        home = container.root / "home/vcap"
        for name, files in (("ssh", ["host_key", "user_key.pub", "diego-sshd"]), ("nginx", ["key", "cert"])):
            (home / name).mkdir()
            for file in files:
                shutil.copy(keys / file, home / name)
        (home / "ssh/config").write_text(SSHD_CONFIG)
        (home / "nginx/config").write_text(NGINX_CONFIG.format(address=container.ADDRESS))
        for path in home.rglob("*"):
            os.chown(path, USER, USER)
        (home / "ssh/host_key").chmod(0o600)
        (home / "ssh/diego-sshd").chmod(0o755)
        Namespace.sysctl(container.name, "net.ipv4.tcp_retries2=3", "net.ipv4.tcp_keepalive_probes=2")
        self.serve(*SERVERS[server], port=2222, env={"HOME": "/home/vcap", "USER": "vcap", **(env or {})})

    def serve(self, *args, port, env=None):
        with open(self.folder / f"server-{port}.log", "wb") as log:
            server = self.container.spawn(*args, env=env, stdout=log, stderr=log)
        wait_until(lambda: sockets(self.container, port, LISTEN) or server.poll() is not None)
        assert server.poll() is None, Path(log.name).read_text()

    def serve_tls(self):
        self.serve("/usr/sbin/nginx", "-e", "stderr", "-c", "/home/vcap/nginx/config", port=61002)

    def serve_app(self):
        self.serve("/usr/bin/python3", "-m", "http.server", "8080", "--bind", "127.0.0.1", port=8080)

    def spawn(self, command, instance_ports=None, plain_ssh=False, **options):
        """A shell command line of the user's, in which ssh knows the hosts `app` and `app-tls`."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TZ": "UTC"}
        if instance_ports is not None:
            env["CF_INSTANCE_PORTS"] = instance_ports
        if plain_ssh:
            env["PLAIN_SSH"] = "1"
        script = f'ssh() {{ exec /usr/bin/ssh -F {self.config} "$@"; }}\n{command}'
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        client = subprocess.Popen(["/bin/bash", "-c", script], env=env, cwd=self.folder, start_new_session=True,
                                  preexec_fn=lambda: enter_namespace(self.container.peer), **options)
        self.clients.append(client)
        return client

    def capture(self, command, path, **options):
        """Starts a command that writes to `path` at home; returns when the capture is under way."""
        path.unlink(missing_ok=True)
        client = self.spawn(f"{command} > {path}", **options)
        wait_until(lambda: path.exists() and path.stat().st_size >= 24 or client.poll() is not None)
        assert client.poll() is None, client.stderr.read()
        return client

    def run(self, command, timeout=30, **options):
        client = self.spawn(command, stdout=subprocess.PIPE, **options)
        out, err = client.communicate(timeout=timeout)
        return subprocess.CompletedProcess(command, client.returncode, out, err)

    def end(self):
        for client in self.clients:
            try:
                os.killpg(client.pid, 9)
            except ProcessLookupError:
                pass
            client.wait()
            for stream in (client.stdout, client.stderr):
                if stream:
                    stream.close()
        self.clients = []

    def end_captures(self):
        """Those that their client's end did not end."""
        for pid in self.container.captures():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.container.captures())
