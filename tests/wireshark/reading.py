"""What tshark finds in a file."""
import subprocess


def column(path, field):
    done = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", field], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.splitlines()


def interface_names(path):
    """Of the interfaces that have packets."""
    return set(column(path, "frame.interface_name"))
