"""What ``config init`` finds on this machine, asked of servers that behave and that do not."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from gatewayctl.cli.discovery import discover


class _Trickle(http.server.BaseHTTPRequestHandler):
    """Begins a reply and never ends it."""

    stopped = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.stopped.wait(0.05):
                self.wfile.write(b" ")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test's output clean."""


@pytest.fixture
def trickle() -> Iterator[str]:
    """Serve replies without an end on loopback; yields host:port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Trickle) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            _Trickle.stopped.set()
            server.shutdown()
            thread.join()


def test_a_server_that_never_finishes_is_given_up(trickle: str) -> None:
    """Each byte that trickles in resets a socket's timeout, so the whole probe has one."""
    found = discover({"OLLAMA_HOST": trickle})
    assert "ollama" not in {server.kind for server in found.servers}
