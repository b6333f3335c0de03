"""What listens where a daemon should: answers as it is told, remembers what it was asked."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StandIn(ThreadingHTTPServer):
    """Answers every request with ``status`` and ``body``, as the server ``name``.

    ``asked`` are the targets and bodies, in order.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = body
        self.name = "gatewayctl"
        self.asked: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        """Answer as told."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer as told, once the body is read."""
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, asked: bytes) -> None:
        self.server.asked.append((self.path, asked))
        self.send_response_only(self.server.status)
        self.send_header("server", self.server.name)
        self.send_header("x-gatewayctl-config", "/etc/gatewayctl.toml")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def standing_in(body: bytes) -> Iterator[StandIn]:
    """Run one that answers with this body until it is told otherwise."""
    with StandIn(body) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
