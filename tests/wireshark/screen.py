"""A screen without a monitor, and a user who sees what a program shows there (AT-SPI), clicks and types."""
import contextlib
import shutil
import subprocess
from dataclasses import dataclass

from gi.repository import Gio, GLib
from support import wait_until

SIZE = "1280x800x24"
PATIENCE_S = 120
CHILDREN_MOST = 60  # of a list of packets the first ones
CALLS_TAKE_MS = 30_000
BUS = ("org.freedesktop.DBus", "/", "org.freedesktop.DBus")
ACCESSIBLE = "org.a11y.atspi.Accessible"
STATES = {4: "checked", 8: "enabled", 12: "focused", 23: "selected", 25: "showing"}  # atspi-constants.h


@dataclass(frozen=True)
class Widget:
    role: str
    name: str
    states: frozenset
    place: tuple  # its middle


class Screen:
    """Of the user at `app`'s desk. What it shows is kept as pictures in a folder."""

    def __init__(self, app, pictures):
        self.app, self.pictures, self.program = app, pictures, None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.environment = {"XDG_RUNTIME_DIR": str(self.app.home), "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1"}
            self.environment["DISPLAY"] = ":" + self.start(stack, "Xvfb", "-displayfd", "1", "-screen", "0", SIZE)
            self.clean_up = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.clean_up.close()

    def spawn(self, stack, *argv, **options):
        process = self.app.spawn(*argv, stdin=subprocess.DEVNULL, env=self.environment, **options)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    def start(self, stack, *argv):
        """Returns the first line that it prints."""
        process = self.spawn(stack, *argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        stack.callback(process.stdout.close)
        return process.stdout.readline().decode().strip()

    def run(self, *argv):
        process = self.app.spawn(*argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self.environment)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, argv
        return out.decode().strip()

    def tell(self, *words):
        """To what tells programs that somebody looks, and over which bus."""
        return self.run("dbus-send", "--session", "--print-reply=literal", "--dest=org.a11y.Bus", "/org/a11y/bus", *words)

    @contextlib.contextmanager
    def showing(self, title, *argv, **options):
        """A program runs, and is the one that is looked at."""
        with contextlib.ExitStack() as stack:
            bus = self.start(stack, "dbus-daemon", "--session", "--nofork", "--print-address=1")
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus
            self.program = self.spawn(stack, *argv, **options)
            self.run("xdotool", "search", "--sync", "--onlyvisible", "--name", title)
            self.begin_to_look(stack)
            yield self.program

    def begin_to_look(self, stack):
        """Once there is a window: told while it starts, Qt 5.15 sometimes does not hear it."""
        self.tell("org.freedesktop.DBus.Properties.Set", "string:org.a11y.Status", "string:IsEnabled", "variant:boolean:true")
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self.bus = Gio.DBusConnection.new_for_address_sync(self.tell("org.a11y.Bus.GetAddress"), flags, None, None)

    # Looking

    def ask(self, owner, path, interface, method, parameters=None):
        return self.bus.call_sync(owner, path, interface, method, parameters, None, Gio.DBusCallFlags.NONE, CALLS_TAKE_MS,
                                  None).unpack()

    def is_of_program(self, name):
        with contextlib.suppress(GLib.Error):
            return self.ask(*BUS, "GetConnectionUnixProcessID", GLib.Variant("(s)", (name,)))[0] == self.program.pid

    def roots(self):
        return [(name, "/org/a11y/atspi/accessible/root") for name in self.ask(*BUS, "ListNames")[0] if self.is_of_program(name)]

    def widget_of(self, owner, path):
        name = self.ask(owner, path, "org.freedesktop.DBus.Properties", "Get", GLib.Variant("(ss)", (ACCESSIBLE, "Name")))[0]
        role = self.ask(owner, path, ACCESSIBLE, "GetRoleName")[0]
        bits = self.ask(owner, path, ACCESSIBLE, "GetState")[0][0]
        x, y, width, height = self.ask(owner, path, "org.a11y.atspi.Component", "GetExtents", GLib.Variant("(u)", (0,)))[0]
        states = frozenset(state for bit, state in STATES.items() if bits >> bit & 1)
        return Widget(role, name, states, (x + width // 2, y + height // 2))

    def children(self, parent):
        with contextlib.suppress(GLib.Error):  # it is not there yet, or no more
            return self.ask(*parent, ACCESSIBLE, "GetChildren")[0][:CHILDREN_MOST]
        return []

    def look(self, parents=None):
        """All that is shown."""
        for parent in parents or self.roots():
            for child in self.children(parent):
                with contextlib.suppress(GLib.Error):
                    widget = self.widget_of(*child)
                    if "showing" in widget.states:
                        yield widget
                        yield from self.look([child])

    def widgets(self, role, name="", *states):
        return [one for one in self.look() if role in one.role and name in one.name and one.states.issuperset(states)]

    def find(self, role, name="", *states):
        """Once there is one."""
        found = []

        def is_there():
            found[:] = self.widgets(role, name, *states)
            return found

        try:
            wait_until(is_there, PATIENCE_S, 0.2)
        except AssertionError:
            self.shoot("missing")
            raise AssertionError(f"no {role} {name!r} among {list(self.look())}") from None
        return found[0]

    def shoot(self, name):
        path = self.app.home / "shot.png"
        self.run("import", "-window", "root", path)
        self.pictures.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.pictures / f"{name}.png")

    # Acting

    def click(self, widget, times=1):
        self.run("xdotool", "mousemove", *map(str, widget.place), "click", "--repeat", str(times), "--delay", "50", "1")

    def press(self, *keys):
        self.run("xdotool", "key", *keys)

    def type(self, text):
        self.run("xdotool", "type", "--delay", "20", str(text))

    def fill(self, widget, text):
        self.click(widget)
        self.press("ctrl+a")
        self.type(text)
