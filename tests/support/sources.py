"""A registry source on loopback that answers below HTTP, well or in any way that is none.

``support.tables`` serves well-formed HTTP; here a reply may dribble, swell or never come.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

MEGABYTE = b" " * 2**20
HUGE = 200
"""Megabytes of a body that is too large."""

Play = Callable[[socket.socket, threading.Event], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request: header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Source:
    """A server of one source: ``play`` answers every request, ``asked`` remembers them.

    ``sent`` counts the bytes that went out.
    """

    def __init__(self) -> None:
        self.play: Play = self.status(500)
        self.asked: list[Asked] = []
        self.sent = 0
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop, and let go of whoever waits for a reply."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def table(self, table: Any, **headers: str) -> Play:
        """Answer with a table as JSON."""
        return self.reply(json.dumps(table).encode(), **headers)

    def reply(self, body: bytes, status: str = "200 OK", **headers: str) -> Play:
        """Answer with these bytes; ``_`` in the name of a header stands for a hyphen."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        return lambda peer, _: self._send(peer, head + body)

    def status(self, status: int, **headers: str) -> Play:
        """Answer with a status and no body."""
        return self.reply(b"", f"{status} Some Words", **headers)

    def nothing(self) -> Play:
        """Never answer."""
        return lambda _, closing: _waited(closing)

    def slow_headers(self) -> Play:
        """Send a header a byte at a time, without an end to it."""
        return lambda peer, closing: self._dribble(peer, b"HTTP/1.1 200 OK\r\nX-Slow: ", closing)

    def slow_body(self) -> Play:
        """Send the headers, then the body a byte at a time."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{"
        return lambda peer, closing: self._dribble(peer, head, closing)

    def huge(self, *, announced: bool) -> Play:
        """Send 200 MB, the size in a header or not."""
        size = f"Content-Length: {HUGE * 2**20}\r\n" if announced else ""
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{size}\r\n".encode()

        def play(peer: socket.socket, _: threading.Event) -> None:
            self._send(peer, head)
            for _piece in range(HUGE):
                self._send(peer, MEGABYTE)

        return play

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(peer,), daemon=True).start()

    def _converse(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError), peer.makefile("rb") as lines:
            first = lines.readline().decode().split()
            if not first:  # whoever connected was ended before asking anything
                return
            method, path, _ = first
            headers: dict[str, str] = {}
            while (line := lines.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = lines.read(int(headers.get("content-length", "0")))
            self.asked.append(Asked(method=method, path=path, headers=headers, body=body))
            self.play(peer, self._closing)

    def _send(self, peer: socket.socket, data: bytes) -> None:
        peer.sendall(data)
        self.sent += len(data)

    def _dribble(self, peer: socket.socket, head: bytes, closing: threading.Event) -> None:
        self._send(peer, head)
        while not closing.wait(0.02):
            self._send(peer, b"x")


def _waited(closing: threading.Event) -> None:
    closing.wait(60)
    time.sleep(0)


@contextlib.contextmanager
def source() -> Iterator[Source]:
    """Run a source for as long as the block."""
    running = Source()
    try:
        yield running
    finally:
        running.close()
