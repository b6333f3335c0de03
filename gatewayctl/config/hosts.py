"""What a URL says of its host: whether it is this machine or near it, and who is to log in there.

Judged by name or address: no look-up.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


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


def without_login(url: str) -> str:
    """Return a URL without the user and password that may stand before its host."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
