"""A download ends in time, within its size, and tells nobody but the one it asks who is asking."""

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from support.sources import HUGE, Source
from support.sources import source as serving

from gatewayctl.core.errors import SourceFailed
from gatewayctl.registry.fetching import Access, Fetched, Query
from gatewayctl.upstream.download import download

SECRET = "sk-of-nobody"
WITH_KEY = Access(headers={"Authorization": f"Bearer {SECRET}"})


@pytest.fixture
def source() -> Iterator[Source]:
    """Run a source for one test."""
    with serving() as running:
        yield running


def ask(
    url: str,
    *,
    body: bytes | None = None,
    etag: str | None = None,
    access: Access | None = None,
    timeout: float = 10,
    limit: int = 2**20,
) -> Fetched:
    """Download, in at most ten seconds."""
    return download(
        Query(
            url=url,
            body=body,
            etag=etag,
            access=access or Access(),
            timeout=timeout,
            limit=limit,
        )
    )


def test_a_body_comes_with_its_tag(source: Source) -> None:
    """And the tag, sent back, gets a reply without one."""
    source.play = source.table({"a": 1}, ETag='"v1"')
    assert ask(source.url) == Fetched(body=b'{"a": 1}', etag='"v1"')
    source.play = source.status(304)
    assert ask(source.url, etag='"v1"') == Fetched(body=b"", etag='"v1"', status=304)
    assert source.asked[1].headers["if-none-match"] == '"v1"'


def test_a_question_is_posted_as_json(source: Source) -> None:
    """With the headers that it takes."""
    source.play = source.table({})
    ask(f"{source.url}/api/show", body=b'{"model":"m"}', access=WITH_KEY)
    (asked,) = source.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/show", b'{"model":"m"}')
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_status_is_an_answer(source: Source, status: int) -> None:
    """Whether it is a failure is for whoever asks to say; its body is of no interest."""
    source.play = source.reply(b"<html>", f"{status} Some Words")
    assert ask(source.url) == Fetched(body=b"", status=status)


@pytest.mark.parametrize("fault", ["nothing", "slow_headers", "slow_body"])
def test_a_download_ends_at_its_deadline_whatever_trickles_in(source: Source, fault: str) -> None:
    """The whole of it, headers included: a byte now and then does not buy more time."""
    source.play = getattr(source, fault)()
    began = time.monotonic()
    with pytest.raises(SourceFailed, match=r"no whole reply within 0\.3 s"):
        ask(source.url, timeout=0.3)
    assert time.monotonic() - began >= 0.3


def test_a_handshake_that_trickles_in_ends_too() -> None:
    """A server that accepts and never speaks TLS is no better than one that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = threading.Event()

        def trickle() -> None:
            peer, _ = listener.accept()
            with peer:
                accepted.wait(10)

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        with pytest.raises(SourceFailed, match="within"):
            ask(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3)
        accepted.set()
        thread.join(10)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_200_megabytes_is_cut_at_the_limit(source: Source, *, announced: bool) -> None:
    """While it arrives, or before its first byte where a header gives the size away."""
    source.play = source.huge(announced=announced)
    with pytest.raises(SourceFailed, match=f"larger than {2**20} bytes"):
        ask(source.url)
    assert source.sent < HUGE * 2**20 / 2


def test_a_body_of_exactly_the_limit_is_whole(source: Source) -> None:
    """One byte more is too many."""
    source.play = source.reply(b" " * 1000)
    assert ask(source.url, limit=1000).body == b" " * 1000
    with pytest.raises(SourceFailed, match="larger than 999 bytes"):
        ask(source.url, limit=999)


def test_a_body_that_is_cut_off_is_no_body(source: Source) -> None:
    """Half a table must not pass for a smaller one."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"
    source.play = lambda peer, _: peer.sendall(head)
    with pytest.raises(SourceFailed, match="before the whole reply"):
        ask(source.url)


def test_what_was_packed_all_the_same_is_unpacked(source: Source) -> None:
    """Nobody asked for it, and some caches send it; the limit holds for what comes out."""
    body = json.dumps({"a": "b" * 5000}).encode()
    source.play = source.reply(gzip.compress(body), Content_Encoding="gzip")
    assert ask(source.url).body == body
    assert source.asked[0].headers["accept-encoding"] == "identity"
    with pytest.raises(SourceFailed, match="larger than 4000 bytes"):
        ask(source.url, limit=4000)
    source.play = source.reply(gzip.compress(body)[:-9], Content_Encoding="gzip")
    with pytest.raises(SourceFailed, match="breaks off"):
        ask(source.url)
    source.play = source.reply(body, Content_Encoding="gzip")
    with pytest.raises(SourceFailed, match="unpacked"):
        ask(source.url)
    source.play = source.reply(body, Content_Encoding="br")
    with pytest.raises(SourceFailed, match="not asked for"):
        ask(source.url)


def test_a_credential_goes_to_one_host_alone(source: Source) -> None:
    """A redirect within the host is followed with it, one to any other place not at all."""
    with serving() as other:
        other.play = other.table({})
        source.play = source.status(302, Location=other.url)
        with pytest.raises(SourceFailed, match="another host"):
            ask(source.url, access=WITH_KEY)
        assert not other.asked
        assert ask(source.url).body == b"{}"  # without a credential
        assert "authorization" not in other.asked[0].headers
    moved = source.table({"moved": True})
    here = source.status(302, Location=f"{source.url}/moved")

    def play(peer: socket.socket, closing: threading.Event) -> None:
        (moved if source.asked[-1].path == "/moved" else here)(peer, closing)

    source.play = play
    assert ask(f"{source.url}/old", access=WITH_KEY).body == b'{"moved": true}'


def test_a_password_in_a_url_is_sent_as_basic_authorization(source: Source) -> None:
    """To that host alone, and not where a credential of another kind goes."""
    source.play = source.table({})
    url = source.url.replace("://", "://me:p%40ss@")
    ask(f"{url}/a")
    ask(f"{url}/b", access=WITH_KEY)
    shown = [(each.path, each.headers["authorization"]) for each in source.asked]
    assert shown == [("/a", "Basic bWU6cEBzcw=="), ("/b", f"Bearer {SECRET}")]
    assert source.asked[0].headers["host"] == source.url.removeprefix("http://")
    with serving() as other:
        source.play = source.status(302, Location=other.url)
        with pytest.raises(SourceFailed, match="another host") as failed:
            ask(url)
        assert not other.asked
    assert "p%40ss" not in str(failed.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file:///etc/passwd", "out of the web"),
        ("ftp://127.0.0.1/", "redirected from http to ftp"),
        ("", "^HTTP 302: it redirects without an end"),
    ],
)
def test_redirects_do_not_leave_the_web_or_run_in_circles(
    source: Source, target: str, reason: str
) -> None:
    """A server cannot make the client read local files, and a loop ends."""
    source.play = source.status(302, Location=target or source.url)
    with pytest.raises(SourceFailed, match=reason):
        ask(source.url)
    assert len(source.asked) <= 11


@pytest.mark.parametrize("value", [f"Bearer {SECRET}\r\nX-Evil: 1", f"Bearer {SECRET}ü"])
def test_no_message_repeats_a_credential(source: Source, value: str) -> None:
    """One that cannot be a header is refused by the header's name."""
    with pytest.raises(SourceFailed) as failed:
        ask(source.url, access=Access(headers={"Authorization": value}))
    assert SECRET not in str(failed.value)
    assert "Authorization" in str(failed.value)
    assert not source.asked


@pytest.mark.parametrize(
    "reply", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000, b""]
)
def test_what_is_no_http_is_a_failed_connection(source: Source, reply: bytes) -> None:
    """A reason for people, without the bytes."""
    source.play = lambda peer, _: peer.sendall(reply)
    with pytest.raises(SourceFailed, match=r"the connection failed: [A-Za-z]+$"):
        ask(source.url)


def test_a_proxy_is_gone_through_and_told_its_login_alone(source: Source) -> None:
    """The provider's own, whatever the environment says; the target's credential goes on."""
    source.play = source.table({"by": "proxy"})
    proxy = source.url.replace("http://", "http://user:word@")
    access = Access(headers=WITH_KEY.headers, proxy=proxy)
    assert ask("http://models.example/list", access=access).body == b'{"by": "proxy"}'
    (asked,) = source.asked
    assert asked.path == "http://models.example/list"
    assert asked.headers["host"] == "models.example"
    assert asked.headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"


def test_a_tunnel_hides_the_credential_from_the_proxy(source: Source) -> None:
    """A proxy that refuses the tunnel has seen its own login, and nothing else."""
    source.play = source.status(403)
    access = Access(headers=WITH_KEY.headers, proxy=source.url.replace("://", "://user:word@"))
    with pytest.raises(SourceFailed):
        ask("https://models.example/list", access=access)
    (asked,) = source.asked
    assert (asked.method, asked.path) == ("CONNECT", "models.example:443")
    assert asked.headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
    assert "authorization" not in asked.headers


def test_a_loopback_server_is_asked_without_the_environments_proxy(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As requests to it are sent."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    source.play = source.table({})
    assert ask(source.url).body == b"{}"


def test_only_a_trusted_certificate_is_believed(tmp_path: Path) -> None:
    """The provider's own bundle is one to trust; the system's knows nothing of it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                peer, _address = listener.accept()
                try:
                    with context.wrap_socket(peer, server_side=True) as secured:
                        secured.recv(65536)
                        secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                except OSError:
                    continue

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(SourceFailed, match=r"CERTIFICATE_VERIFY_FAILED|certificate"):
            ask(url)
        assert ask(url, access=Access(ca_bundle=str(bundle))).body == b"{}"
        thread.join(10)
    with pytest.raises(SourceFailed, match="ca_bundle /nowhere cannot be used"):
        ask("https://127.0.0.1:1/", access=Access(ca_bundle="/nowhere"))
