"""A source of tables on loopback, whose faults a test can choose."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TableServer:
    """Serves ``body`` with ``status`` and ``headers``; remembers what it was asked.

    ``stall`` holds every reply back until the server is closed; ``cut`` promises more bytes than
    it sends. A request whose If-None-Match is ``etag`` gets 304.
    """

    def __init__(self) -> None:
        self.body = b"{}"
        self.status = 200
        self.headers: dict[str, str] = {}
        self.etag: str | None = None
        self.stall = False
        self.cut = 0
        self.asked: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the table is."""
        return f"http://127.0.0.1:{self._server.server_port}/table.json"

    def serve(self, table: Any) -> None:
        """Serve a table from now on."""
        self.body = json.dumps(table).encode()

    def close(self) -> None:
        """Stop, letting stalled replies go."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: TableServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append({name.lower(): value for name, value in self.headers.items()})
            if server.stall:
                server.closing.wait(30)
                return
            unchanged = server.etag and self.headers.get("If-None-Match") == server.etag
            self.send_response(304 if unchanged else server.status)
            if server.etag:
                self.send_header("ETag", server.etag)
            for name, value in server.headers.items():
                self.send_header(name, value)
            body = b"" if unchanged else server.body
            self.send_header("Content-Length", str(len(body) + server.cut))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep the test's output clean."""

    return Handler
