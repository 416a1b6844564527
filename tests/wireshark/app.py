"""An app of three instances, each in a network of its own with real ssh, and the desk of a user who reaches them with cf."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

from support import GO_ENVIRONMENT, ROOT, USER, Namespace, ip, socket_in, spawn_as_user, wait_until

INSTANCES = (0, 1, 2)
NAMES = [f"shop/{number} lo" for number in INSTANCES]  # of what is captured
CONTENTS = [b"X-Instance: %d" % number for number in INSTANCES]  # of their answers
ILL = 1  # it answers with an error
APP = ("127.0.0.1", 8080)
SSH_CONFIG = """
Host *
    User vcap
    Port 2222
    IdentityFile {home}/user_key
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
"""
CF_SSH = '#!/bin/sh\nexec /usr/bin/ssh -F {home}/ssh_config -T "10.9.$CF_INSTANCE_INDEX.1" "$1"\n'


class App:
    """`home` is the user's folder, `desk` the network he is in; instance N is 10.9.N.1, and is visited again and again."""

    def __init__(self):
        self.desk = f"cfp-{os.getpid()}-desk"
        self.over = threading.Event()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="cf-pcap-desk."))
            self.folder.chmod(0o755)
            stack.callback(shutil.rmtree, self.folder)
            self.connect(stack)
            self.make_home()
            self.serve(stack)
            self.clean_up = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.clean_up.close()

    @staticmethod
    def network_of(number):
        return f"cfp-{os.getpid()}-app{number}"

    def connect(self, stack):
        for name in (self.desk, *map(self.network_of, INSTANCES)):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            Namespace.sysctl(name, "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
            ip("-n", name, "link", "set", "lo", "up")
        for number in INSTANCES:
            network = self.network_of(number)
            ip("link", "add", f"app{number}", "netns", self.desk, "type", "veth", "peer", "name", "eth0", "netns", network)
            for name, device, last in ((network, "eth0", 1), (self.desk, f"app{number}", 2)):
                ip("-n", name, "addr", "add", f"10.9.{number}.{last}/24", "dev", device)
                ip("-n", name, "link", "set", device, "up")

    def make_home(self):
        """With cf, which is at a space with this one app, and an ssh that it uses."""
        home = self.home = self.folder / "home"
        for name in (".cf", "temporary"):
            (home / name).mkdir(parents=True)
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
        (home / "ssh_config").write_text(SSH_CONFIG.format(home=home))
        (home / "ssh").write_text(CF_SSH.format(home=home))
        (home / "ssh").chmod(0o755)
        shutil.copy(ROOT / "tests/collector/cf", home)
        instances = [{"index": number, "state": "RUNNING", "host": "h", "instance_internal_ip": f"10.9.{number}.1"}
                     for number in INSTANCES]
        (home / "shop.json").write_text(json.dumps({"guid": "abc-1", "web": instances}))
        (home / ".cf/config.json").write_text(json.dumps({"SpaceFields": {"GUID": "5face-1", "Name": "dev"}}))
        (self.folder / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\ndev:x:{USER}:{USER}::{home}:/bin/sh\n")
        for path in (home, *home.rglob("*")):
            os.chown(path, USER, USER)

    def serve(self, stack):
        sshd = self.folder / "sshd"
        subprocess.run(["go", "build", "-o", sshd, ROOT / "tests/platform/sshd/main.go"], check=True, env=GO_ENVIRONMENT)
        for number in INSTANCES:
            self.serve_ssh(stack, number, sshd)
            visitor = threading.Thread(target=self.visit, args=(number,))
            visitor.start()
            stack.callback(visitor.join)
            stack.callback(self.over.set)

    def serve_ssh(self, stack, number, sshd):
        with open(self.folder / f"sshd-{number}.log", "wb") as log:
            server = spawn_as_user([sshd, "-host-key", self.home / "host_key", "-authorized-key", self.home / "user_key.pub"],
                                   self.network_of(number), stderr=log)
        stack.callback(server.wait)
        stack.callback(server.kill)

        def listens():
            with self.socket(self.desk) as client:
                return server.poll() is not None or client.connect_ex((f"10.9.{number}.1", 2222)) == 0

        wait_until(listens, 30)
        assert server.poll() is None, Path(log.name).read_text()

    @staticmethod
    def socket(network):
        return socket_in(SimpleNamespace(name=network), socket.AF_INET, socket.SOCK_STREAM)

    def visit(self, number):
        """On lo, some times a second: both sides."""
        status = "500 Internal Server Error" if number == ILL else "200 OK"
        with self.socket(self.network_of(number)) as app:
            app.bind(APP)
            app.listen()
            while not self.over.wait(0.2):
                with self.socket(self.network_of(number)) as client:
                    client.connect(APP)
                    client.sendall(b"GET /cart HTTP/1.1\r\nHost: shop.example\r\n\r\n")
                    with app.accept()[0] as server:
                        server.recv(1000)
                        server.sendall(f"HTTP/1.1 {status}\r\nX-Instance: {number}\r\nContent-Length: 0\r\n\r\n".encode())
                    client.recv(1000)

    def spawn(self, *argv, root=None, env=None, **options):
        """A program of the user's, at the desk, perhaps in another root. There he has a name: Wireshark and ssh ask for it."""
        script = f'mount --bind {self.folder}/passwd /etc/passwd && exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"'
        if root:
            script = (f"set -e; cd {root}; mkdir -p .{self.folder}; mount --bind {self.folder} .{self.folder}\n"
                      f"mount --bind {self.folder}/passwd etc/passwd; mount --rbind /dev dev; mount -t proc proc proc\n"
                      f'exec /usr/sbin/chroot --userspec={USER}:{USER} --groups= . "$@"')
        words = ["ip", "netns", "exec", self.desk, "sh", "-c", script, "sh", *argv]
        env = {"PATH": f"{self.home}:/usr/bin:/bin", "HOME": str(self.home), "TZ": "UTC", "LC_ALL": "C.UTF-8",
               "CF_STANDIN": str(self.home), "TMPDIR": str(self.home / "temporary"), **(env or {})}
        return subprocess.Popen([str(word) for word in words], cwd=self.home, env=env, start_new_session=True, **options)
