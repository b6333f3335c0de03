"""A client's own credential reaches the provider it is for, and no second one, whatever happens."""

import hashlib
import json
from collections.abc import Mapping
from itertools import product

import pytest
from support.dialects import DIALECTS, address, encoded
from support.forwards import CREDENTIAL, PROVIDERS, Stage, at, routes, seen, stage
from support.gateway import gateway, settings_of, upstream_config
from support.upstream import FakeUpstream, sized

from gatewayctl.core.errors import FailureKind, UpstreamFailed
from gatewayctl.daemon.forwarding import REMEMBERED, Forwarding, query_for
from gatewayctl.upstream.headers import QUERY

ONE, TWO, KEYED = "http://one.test", "http://two.test", "http://keyed.test"
WAYS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "bearer": ({"authorization": f"Bearer {CREDENTIAL}"}, ""),
    "x-api-key": ({"x-api-key": CREDENTIAL}, ""),
    "x-goog-api-key": ({"x-goog-api-key": CREDENTIAL}, ""),
    "api-key": ({"api-key": CREDENTIAL}, ""),
    "query": ({}, f"key={CREDENTIAL}"),
    "all": (
        {
            "authorization": f"Bearer {CREDENTIAL}",
            "x-api-key": CREDENTIAL,
            "x-goog-api-key": CREDENTIAL,
            "x-auth-token": CREDENTIAL,
            "cookie": f"session={CREDENTIAL}",
        },
        f"key={CREDENTIAL}&access_token={CREDENTIAL}&beta=true",
    ),
}
"""Headers and query in which clients present what they have."""


def forwarding(secret: bytes = b"s") -> Forwarding:
    """Return one over the stage's providers."""
    return Forwarding(settings_of(at(PROVIDERS, ONE, TWO, KEYED)), secret)


def bearer(value: str) -> dict[str, str]:
    """Return the headers of a client that has a credential."""
    return {"authorization": f"Bearer {value}"}


def test_the_first_forwarding_provider_behind_a_name_has_the_credential() -> None:
    """By declaration, whoever else stands there; two tables of one origin are one party."""
    found = forwarding()
    leaves = ("keyed", "one", "two", "again")
    assert found.barred("one", leaves, bearer("a")) is None
    assert found.barred("again", leaves, bearer("a")) is None
    assert found.barred("keyed", leaves, bearer("a")) is None
    why = found.barred("two", leaves, bearer("a"))
    assert why is not None
    assert "belongs to one" in why
    assert "give two an api_key" in why


def test_a_credential_stays_with_the_origin_that_it_was_sent_to() -> None:
    """Asked for by its own name a second provider does not get it either, and is told of why."""
    found = forwarding()
    found.claim("one", bearer("a"))
    assert found.barred("again", ("again",), bearer("a")) is None
    why = found.barred("two", ("two",), bearer("a"))
    assert why is not None
    assert ONE in why
    assert TWO in why
    assert '"a"' not in why
    assert found.barred("two", ("two",), bearer("b")) is None
    found.claim("two", bearer("b"))
    assert found.barred("one", ("one",), bearer("b")) is not None


def test_where_a_credential_was_sent_goes_before_the_order_of_a_route() -> None:
    """A route that names its party second still answers, and its first still gets nothing."""
    found = forwarding()
    found.claim("one", bearer("a"))
    leaves = ("two", "one")
    assert found.barred("two", leaves, bearer("a")) is not None
    assert found.barred("one", leaves, bearer("a")) is None
    assert found.barred("two", leaves, bearer("b")) is None
    assert found.barred("one", leaves, bearer("b")) is not None


def test_a_credential_is_the_same_wherever_it_stands() -> None:
    """A bearer token, a key in a header of its own and one in the query are not three."""
    found = forwarding()
    found.claim("one", {"X-Api-Key": "a"})
    for headers in (bearer("a"), {"x-goog-api-key": "a"}, {QUERY: "key=a"}):
        with pytest.raises(UpstreamFailed) as caught:
            found.claim("two", headers)
        assert caught.value.failure.kind is FailureKind.FORBIDDEN


def test_one_of_several_credentials_is_enough_to_keep_all_back() -> None:
    """A request travels as a whole: who may not have one part of it gets none."""
    found = forwarding()
    found.claim("one", {**bearer("a"), "x-api-key": "b"})
    for sent in (bearer("a"), {"x-api-key": "b"}):
        assert found.barred("two", ("two",), {**sent, "x-goog-api-key": "c"}) is not None


def test_a_key_of_the_gateways_is_nobodys_credential() -> None:
    """Whoever has that alone is told to send one of its own, and where each belongs."""
    found = forwarding()
    why = found.barred("one", ("one",), {"user-agent": "curl/8"}, keyed=True)
    assert why is not None
    assert "x-gatewayctl-key" in why
    assert found.barred("one", ("one",), bearer("a"), keyed=True) is None
    assert found.barred("one", ("one",), {}) is None
    assert found.barred("keyed", ("keyed",), {}, keyed=True) is None


def test_planning_leaves_no_trace() -> None:
    """Only what is sent is remembered, so a question about a route decides nothing."""
    found = forwarding()
    assert found.barred("one", ("one",), bearer("a")) is None
    assert found.barred("two", ("two",), bearer("a")) is None


def test_what_is_no_credential_binds_nobody() -> None:
    """Cookies and the gateway's own headers do not go up; other headers say nothing secret."""
    found = forwarding()
    headers = {
        "cookie": "a=b",
        "x-gatewayctl-key": "gwk-a",
        "idempotency-key": "1",
        "user-agent": "curl/8",
        "anthropic-beta": "one-2026-01-01,another-2026-01-01",
        "session_id": "0193c5b0-0000-7000-8000-000000000000",
        QUERY: "beta=true&api-version=2026-01-01",
    }
    found.claim("one", headers)
    found.claim("two", headers)


@pytest.mark.parametrize(
    "header",
    [
        *("x-jwt", "x-pat", "cf-access-jwt-assertion", "dpop", "x-signature", "x-sas", "x-oauth"),
        *("x-pwd", "x-pass", "x-otp", "x-ticket", "x-saml", "x-client-cert", "x-session", "x-odd"),
    ],
)
def test_a_credential_of_any_name_goes_to_one_party(header: str) -> None:
    """Where nothing is called a credential anything may be one that is not known to be none."""
    found = forwarding()
    found.claim("one", {header: CREDENTIAL, "user-agent": "curl/8"})
    assert found.barred("two", ("two",), {header: CREDENTIAL}) is not None
    assert found.barred("two", ("two",), {header: "another-credential"}) is None


@pytest.mark.parametrize(
    "query",
    [
        *("pwd=hunter2", "pass=a", "jwt=a", "sig=a", "oauth=a", "ticket=a", "sid=a", "code=a"),
        *(
            "key%20=a",
            "key[]=a",
            "a=1;key=a",
            "odd=sk-0123456789abcdef0123",
            "sk-0123456789abcdef0",
        ),
    ],
)
def test_no_query_takes_a_credential_to_a_provider_with_a_key(query: str) -> None:
    """Whatever it is called, and however the parameters are written."""
    providers = settings_of(at(PROVIDERS, ONE, TWO, KEYED)).providers
    told = query_for(providers["keyed"], f"beta=true&{query}&api-version=2024-10-01")
    assert told == "beta=true&api-version=2024-10-01"
    found = forwarding()
    found.claim("one", {QUERY: query})
    assert found.barred("two", ("two",), {QUERY: query}) is not None


def test_a_provider_with_a_key_of_its_own_is_nobodys_business() -> None:
    """It is sent no credential of the client's, so nothing of it is noted."""
    found = forwarding()
    found.claim("keyed", bearer("a"))
    assert found.barred("two", ("keyed", "two"), bearer("a")) is None


def test_the_memory_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    """However many credentials come, those in use stay where they are."""
    found = forwarding()
    found.claim("one", bearer("in use"))
    found.claim("one", bearer("old"))
    for number in range(REMEMBERED - 1):
        if number % 1000 == 0:
            found.claim("one", bearer("in use"))
        found.claim("one", bearer(f"other-{number}"))
    assert found.barred("two", ("two",), bearer("in use")) is not None
    assert found.barred("two", ("two",), bearer("old")) is None


def test_nothing_of_a_credential_is_kept() -> None:
    """A dump of the whole object holds digests under a key of this process."""
    found = forwarding()
    found.claim("one", bearer(CREDENTIAL))
    dumped = repr(vars(found))
    assert CREDENTIAL not in dumped
    assert dumped != repr(vars(forwarding(b"another")))


def test_credentials_in_a_query_go_with_forwarded_ones_alone() -> None:
    """Another provider gets the rest of the query as it came."""
    providers = settings_of(at(PROVIDERS, ONE, TWO, KEYED)).providers
    query = "beta=true&key=a&x%5Fapi%5Fkey=b&access_token=c&limit=3&flag"
    assert query_for(providers["one"], query) == query
    assert query_for(providers["keyed"], query) == "beta=true&limit=3&flag"
    assert query_for(providers["keyed"], "") == ""


async def _ask(
    on: Stage, protocol: str, name: str, way: str, *, stream: bool = False, text: str = "Hello"
) -> tuple[int, str]:
    headers, query = WAYS[way]
    path = address(protocol, name, stream=stream)
    url = f"{on.gateway.url}{path}" + (f"{'&' if '?' in path else '?'}{query}" if query else "")
    body = encoded(protocol, name, text, stream=stream)
    async with on.gateway.client.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("name", sorted(routes()))
async def test_through_a_route_with_fallback_no_second_provider_sees_it(name: str) -> None:
    """The provider with a key answers with its own; the other origin is not asked at all.

    Every request is a conversation of its own, so that a blend draws anew for it.
    """
    async with stage(routes()[name]) as on:
        for number, (protocol, stream) in enumerate(product(DIALECTS, (False, True) * 3)):
            status, text = await _ask(
                on, protocol, name, "all", stream=stream, text=f"Hello {number}"
            )
            assert status == 200, text
        assert not on.leaked()
        assert not on.two.journal.requests
        assert any(CREDENTIAL.encode() in seen(each) for each in on.one.journal.requests)
        asked_keyed = on.keyed.journal.requests
        assert asked_keyed
        assert all(b"sk-canary-keyed-77aa" in seen(each) for each in asked_keyed)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_wherever_it_stands_it_goes_to_one_provider_alone(protocol: str, way: str) -> None:
    """In whichever header or query parameter: the first has it, the others nothing of it."""
    async with stage(routes()["cascade"]) as on:
        status, text = await _ask(on, protocol, "cascade", way)
        assert status == 200, text
        assert CREDENTIAL.encode() in seen(on.one.journal.requests[0])
        assert not on.leaked()


@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_route_with_nobody_else_says_what_is_wrong_and_what_to_do(protocol: str) -> None:
    """The first one's failure leads; who was left out stands in the explanation."""
    async with stage(routes(("one/small!401", "two/small"))["cascade"]) as on:
        dry = {**WAYS["bearer"][0], "x-gatewayctl-dry-run": "1"}
        url = f"{on.gateway.url}{address(protocol, 'cascade')}"
        body = encoded(protocol, "cascade", "Hello")
        async with on.gateway.client.post(url, data=body, headers=dry) as answer:
            told = await answer.text()
        skipped = json.loads(told)["skipped"]
        assert [(each["model"], each["reason"]) for each in skipped] == [("two/small", "no_key")]
        assert "belongs to one" in skipped[0]["detail"]
        status, text = await _ask(on, protocol, "cascade", "bearer")
        assert status == 401
        assert not on.two.journal.requests
        assert CREDENTIAL not in told + text


async def test_a_second_provider_asked_for_by_name_refuses_what_the_first_was_sent() -> None:
    """In words that say where it went, in the dialect of whoever asks."""
    async with stage() as on:
        for protocol in DIALECTS:
            assert (await _ask(on, protocol, "one/small", "bearer"))[0] == 200
            for stream in (False, True):
                status, text = await _ask(on, protocol, "two/small", "bearer", stream=stream)
                assert status == 403
                assert "send one of its own" in text
                assert on.one.base_url in text
                assert CREDENTIAL not in text
        assert not on.two.journal.requests


async def test_the_breaker_of_the_first_provider_does_not_open_the_way_to_the_second() -> None:
    """A provider that is passed over keeps what is its own."""
    async with stage(routes()["cascade"]) as on:
        for _ in range(20):
            assert (await _ask(on, "chat_completions", "cascade", "all"))[0] == 200
        assert len(on.one.journal.requests) < 40
        assert not on.leaked()
        assert not on.two.journal.requests


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions"])
async def test_other_surfaces_keep_it_too(path: str) -> None:
    """Embeddings and legacy completions go through the same door."""
    async with stage(routes()["cascade"]) as on:
        body = json.dumps({"model": "cascade", "input": "Hi", "prompt": "Hi"})
        url = f"{on.gateway.url}{path}?key={CREDENTIAL}"
        async with on.gateway.client.post(url, data=body, headers=WAYS["all"][0]) as answer:
            assert answer.status == 200, await answer.text()
        assert not on.leaked()
        assert not on.two.journal.requests


async def test_a_count_goes_to_no_second_provider_either() -> None:
    """A provider's counter is asked with the credential that the model would be asked with."""
    more = """
[providers.claude]
kind = "anthropic"
base_url = "{one}/v1"
auth = "forward"
[providers.other]
kind = "anthropic"
base_url = "{two}/v1"
auth = "forward"
[providers.own]
kind = "anthropic"
base_url = "{keyed}/v1"
api_key = "sk-canary-own-12ab"
"""
    async with stage(more) as on:
        url = f"{on.gateway.url}/v1/messages/count_tokens?key={CREDENTIAL}"
        for model in ("claude/small", "other/small", "own/small"):
            body = encoded("messages", model, "Hello")
            headers = WAYS["x-api-key"][0]
            async with on.gateway.client.post(url, data=body, headers=headers) as answer:
                assert answer.status == 200  # who may not ask a provider is told an estimate
                assert CREDENTIAL not in await answer.text()
        assert CREDENTIAL.encode() in seen(on.one.journal.requests[0])
        assert not on.leaked()
        assert not on.two.journal.requests
        assert on.keyed.journal.requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_it_nowhere(status: int) -> None:
    """An upstream that points elsewhere is not followed, and whoever it points to not asked."""
    async with FakeUpstream([sized(b"{}")]) as elsewhere:
        headers = [("location", f"{elsewhere.base_url}/v1/chat/completions")]
        async with FakeUpstream([sized(b"{}", status, headers)]) as upstream:
            async with gateway(upstream_config(upstream.base_url, auth="forward")) as it:
                url = f"{it.url}/v1/chat/completions"
                body = encoded("chat_completions", "up/m", "Hello")
                headers_up = WAYS["all"][0]
                async with it.client.post(url, data=body, headers=headers_up) as answer:
                    assert answer.status >= 400
                    assert "location" not in answer.headers
            assert upstream.requests
        assert elsewhere.connections == 0


async def test_a_key_of_the_gateways_is_forwarded_to_nobody() -> None:
    """In whichever header it came; beside it, the client's own goes up as always."""
    key = "gwk-" + "c" * 43
    digest = hashlib.sha256(key.encode()).hexdigest()
    async with FakeUpstream([sized(b"{}", 401)]) as upstream:
        config = f'[server]\nkeys = ["sha256:{digest}"]\n'
        async with gateway(config + upstream_config(upstream.base_url, auth="forward")) as it:
            url = f"{it.url}/v1/chat/completions"
            body = encoded("chat_completions", "up/m", "Hi")
            for name, value in (
                ("authorization", f"Bearer {key}"), ("x-api-key", key), ("x-gatewayctl-key", key),
            ):  # fmt: skip
                async with it.client.post(url, data=body, headers={name: value}) as answer:
                    assert answer.status == 403
                    assert "send that one in x-gatewayctl-key" in await answer.text()
            assert upstream.connections == 0
            both = {"x-gatewayctl-key": key, **bearer(CREDENTIAL)}
            async with it.client.post(f"{url}?key={key}", data=body, headers=both) as answer:
                assert answer.status == 401
        (request,) = upstream.requests
    assert request.header("authorization") == f"Bearer {CREDENTIAL}".encode()
    assert key.encode() not in request.head


@pytest.mark.parametrize(("status", "kind"), [(401, "unauthorized"), (403, "forbidden")])
async def test_a_refusal_without_readable_words_is_about_the_clients_own(
    status: int, kind: str
) -> None:
    """Nobody is sent to look after a credential of the gateway's that there is not."""
    page = sized(b"<html>no</html>", status, [("content-type", "text/html")])
    async with (
        FakeUpstream([page]) as upstream,
        gateway(upstream_config(upstream.base_url, auth="forward")) as it,
    ):
        body = encoded("chat_completions", "up/m", "Hi")
        url = f"{it.url}/v1/chat/completions"
        async with it.client.post(url, data=body, headers=bearer(CREDENTIAL)) as answer:
            assert answer.status == status
            error = json.loads(await answer.read())["error"]
    assert error["gatewayctl"]["kind"] == kind
    assert "the client's own credential" in error["message"]
    assert "gateway's own" not in error["message"]
