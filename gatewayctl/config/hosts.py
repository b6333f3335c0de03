"""Hosts that are this machine alone, or near it. Judged by name or address: no look-up."""

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


def is_near(host: str) -> bool:
    """Tell whether a host is this machine or one of its private network."""
    if is_loopback(host):
        return True
    try:
        return ip_address(host.strip("[]")).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal"))
