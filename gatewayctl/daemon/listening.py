"""Listening sockets: the daemon's, and those to which a browser returns from a login.

What is served on them is not known here, so that a command may use it without the daemon.
"""

import errno
import logging
import socket

from gatewayctl.core.errors import GatewayctlError

log = logging.getLogger("gatewayctl.daemon")

BACKLOG = 1024
"""Connections that may wait to be accepted."""


class CannotListen(GatewayctlError):
    """The address cannot be bound; the message says what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets: loopback on 127.0.0.1 listens on ::1 too where there is one."""
    first = _bound(host, port)
    sockets = [first]
    if host in {"127.0.0.1", "localhost"}:
        chosen = first.getsockname()[1]
        try:
            sockets.append(_bound("::1", chosen))
        except CannotListen as error:
            log.debug("no second loopback address: %s", error)
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.settimeout(0)
    except OSError as error:
        if sock is not None:
            sock.close()
        hint = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            hint = "the port is in use; choose another with --port, or --port 0 for a free one"
        raise CannotListen(f"cannot listen on {host}:{port}: {hint}") from error
    return sock
