"""Hosts that are this machine alone. Judged by name or address: nothing is looked up."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether a host is loopback: ``localhost`` and names under it, 127.0.0.0/8, ::1."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
