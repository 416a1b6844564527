"""The real Wireshark on a screen of its own: a user finds an app in its list, captures all instances, and stops."""
from app import CONTENTS, NAMES
from reading import interface_names
from support import wait_until

WINDOW = "^The Wireshark Network Analyzer"


def beside(screen, label, role):
    """The field that belongs to a label of the dialog."""
    y = screen.find("label", label).place[1]
    return min(screen.widgets(role, "", "enabled"), key=lambda one: abs(one.place[1] - y))


def choose_all_instances(desk, screen):
    screen.click(screen.find("tree item", "Cloud Foundry app"), times=2)  # it needs an app: its options come up
    screen.click(screen.find("push button", "Load the apps"))
    screen.find("list item", "shop")
    screen.click(screen.find("push button", "Load the instances"))
    screen.find("list item", "2  RUNNING")
    screen.shoot("options")
    screen.click(screen.find("page tab", "Way"))
    screen.fill(beside(screen, "Program there", "text"), desk.remote)


def captured(desk):
    """What Wireshark has in its file by now."""
    return b"".join(path.read_bytes() for path in (desk.home / "temporary").glob("wireshark_*.pcapng"))


def test_all_instances_of_an_app_are_captured_and_the_button_stops_them(desk, screen):
    """Saving is left to Wireshark: its own file is read back."""
    with screen.showing(WINDOW, "wireshark", "-C", "cf-pcap"):
        screen.find("tree item", "cf-pcap over ssh")
        screen.shoot("list")
        choose_all_instances(desk, screen)
        screen.click(screen.find("push button", "Start"))
        wait_until(lambda: all(text in captured(desk) for text in CONTENTS), 120, 0.2)
        screen.click(screen.find("push button", "Stop", "enabled"))
        wait_until(lambda: not screen.widgets("push button", "Stop", "enabled"), 120, 0.2)
        screen.shoot("packets")
        [path] = (desk.home / "temporary").glob("wireshark_*.pcapng")
        assert interface_names(path) == set(NAMES)
