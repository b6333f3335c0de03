import pytest
from multidict import CIMultiDict

from gatewayctl.core.model import Auth, WireProtocol
from gatewayctl.upstream.headers import USER_AGENT, about_limits, reply_headers, request_headers

from .conftest import MakeProvider

CHAT = WireProtocol.CHAT_COMPLETIONS
MESSAGES = WireProtocol.MESSAGES
CLIENT = CIMultiDict(
    [
        ("Host", "127.0.0.1:8790"),
        ("User-Agent", "claude-cli/2.1"),
        ("Authorization", "Bearer client-secret"),
        ("x-api-key", "client-key"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Length", "12"),
        ("Content-Encoding", "zstd"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip, br"),
        ("Connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("Cookie", "a=b"),
        ("x-gatewayctl-key", "gateway-secret"),
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "one"),
        ("Anthropic-Beta", "two"),
        ("openai-beta", "three"),
        ("traceparent", "00-1"),
        ("x-app", "cli"),
    ]
)


def test_own_credential_travels_without_the_clients(provider: MakeProvider) -> None:
    """With a key of the gateway's, only what concerns the request goes up, and who we are."""
    up = CIMultiDict(request_headers(provider(), CHAT, CLIENT, "sk-own"))
    assert dict(up) == {
        "openai-beta": "three",
        "traceparent": "00-1",
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Authorization": "Bearer sk-own",
        "Accept-Encoding": "identity",
    }


def test_anthropic_kinds_get_their_own_header(provider: MakeProvider) -> None:
    """The key goes into x-api-key, the client's version and every beta stay as they were."""
    settings = provider(kind="anthropic-compatible")
    up = CIMultiDict(request_headers(settings, MESSAGES, CLIENT, "sk-own"))
    assert (up["x-api-key"], up["anthropic-version"]) == ("sk-own", "2024-01-01")
    assert up.getall("anthropic-beta") == ["one", "two"]
    assert "Authorization" not in up


def test_anthropic_version_is_added_where_the_client_sent_none(provider: MakeProvider) -> None:
    """Anthropic refuses a request without a version."""
    settings = provider(kind="anthropic")
    up = dict(request_headers(settings, MESSAGES, CIMultiDict(), "sk-own"))
    assert up["anthropic-version"] == "2023-06-01"


def test_no_credential_ever_goes_where_none_is_wanted(provider: MakeProvider) -> None:
    """With auth = "none" neither the client's credential nor one of ours is sent."""
    up = str(request_headers(provider(auth=Auth.NONE), CHAT, CLIENT, "sk-own"))
    assert not any(it in up for it in ("sk-own", "client-secret", "client-key", "gateway-secret"))


def test_forwarding_sends_what_the_client_sent(provider: MakeProvider) -> None:
    """With auth = "forward" all end-to-end headers go up as they came, in order, none of ours."""
    up = request_headers(provider(auth=Auth.FORWARD), MESSAGES, CLIENT, "sk-own")
    assert up == (
        ("User-Agent", "claude-cli/2.1"),
        ("Authorization", "Bearer client-secret"),
        ("x-api-key", "client-key"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "one"),
        ("Anthropic-Beta", "two"),
        ("openai-beta", "three"),
        ("traceparent", "00-1"),
        ("x-app", "cli"),
        ("Accept-Encoding", "identity"),
    )


@pytest.mark.parametrize("auth", [Auth.KEY, Auth.FORWARD])
def test_configured_headers_win(provider: MakeProvider, auth: Auth) -> None:
    """A provider's own headers are added or replace what is there; an empty value removes."""
    settings = provider(auth=auth, headers={"x-team": "a", "TraceParent": "b", "openai-beta": ""})
    up = CIMultiDict(request_headers(settings, CHAT, CLIENT, None))
    assert (up["x-team"], up.getall("traceparent")) == ("a", ["b"])
    assert "openai-beta" not in up


def test_header_that_cannot_be_written_again_stays_behind(provider: MakeProvider) -> None:
    """Bytes that are no UTF-8 arrive as surrogates and would break the request."""
    client = CIMultiDict({"x-a": "caf\udce9", "x-b": "café"})
    up = request_headers(provider(auth=Auth.FORWARD), CHAT, client, None)
    assert up == (("x-b", "café"), ("Accept-Encoding", "identity"))


def test_reply_headers_are_end_to_end_and_free_of_cookies() -> None:
    """Rate limits and ids come down; framing, cookies and what concerns only a hop do not."""
    kept = [
        ("Content-Type", "text/event-stream"),
        ("anthropic-ratelimit-requests-remaining", "1"),
        ("x-ratelimit-limit-tokens", "2"),
        ("retry-after", "3"),
        ("request-id", "r"),
        ("x-request-id", "q"),
        ("cf-ray", "c"),
        ("openai-processing-ms", "4"),
    ]
    dropped = [
        ("Connection", "close, x-hop"),
        ("x-hop", "1"),
        ("Content-Length", "1"),
        ("Content-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Set-Cookie", "a=b"),
        ("Server", "s"),
        ("Date", "d"),
        ("Access-Control-Allow-Origin", "*"),
        ("x-gatewayctl-model", "other"),
        ("X-Should-Retry", "true"),
        ("x-binary", "\udcff"),
    ]
    assert reply_headers(CIMultiDict([*dropped, *kept])) == tuple(kept)


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "a\rb", "a\nb: c", "a\0b", "a\udcffb"])
def test_what_cannot_be_written_again_stays_behind(provider: MakeProvider, value: str) -> None:
    """A control character in a header would break the reply, or forge another header."""
    headers = CIMultiDict([("x-bad", value), ("accept", value), ("x-good", "tab\tand é")])
    assert dict(reply_headers(headers)) == {"x-good": "tab\tand é"}
    assert CIMultiDict(request_headers(provider(), CHAT, headers, None))["accept"] == "*/*"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Retry-After", "0"),
        ("retry-after", "2.5"),
        ("retry-after", "30s"),
        ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("retry-after-ms", "1500"),
    ],
)
def test_a_wait_that_can_be_read_travels_as_it_came(name: str, value: str) -> None:
    """In every form that clients read: seconds, milliseconds, a time of day."""
    assert reply_headers(CIMultiDict({name: value})) == ((name, value),)


@pytest.mark.parametrize("name", ["Retry-After", "retry-after-ms"])
@pytest.mark.parametrize(
    "value", ["", "-5", "-0.5", "nan", "inf", "1e9", "9" * 400, "soon", "0x10", "1,5", "३"]
)
def test_a_wait_that_no_client_can_read_stays_behind(name: str, value: str) -> None:
    """A client would wait for what its language makes of it: not at all, or for ever."""
    headers = CIMultiDict({name: value, "x-request-id": "r"})
    assert reply_headers(headers) == (("x-request-id", "r"),)


def test_an_error_of_our_own_tells_the_upstreams_limits() -> None:
    """Rate limits and request ids travel even when the body does not."""
    told = (("X-RateLimit-Remaining", "0"), ("cf-ray", "1"), ("Content-Type", "text/html"))
    assert about_limits(told) == told[:2]
