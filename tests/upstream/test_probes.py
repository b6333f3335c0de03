import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gatewayctl.config.kinds import kinds
from gatewayctl.config.settings import FromEnv, ProviderSettings
from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Auth, Provider, WireProtocol
from gatewayctl.core.quota import Snapshot, Source, Window
from gatewayctl.registry.fetching import Fetch, Fetched, Query
from gatewayctl.upstream.credentials import Credentials
from gatewayctl.upstream.probes import FORMS, LIMIT, PATIENCE, address, ask, probe

NOON = 1_795_262_400.0
"""Saturday, 2026-11-21T12:00:00Z."""


def provider(kind: str, *keys: str, base_url: str = "", auth: Auth = Auth.KEY) -> ProviderSettings:
    """Return a provider of a kind whose keys are in these variables."""
    found = kinds()[kind]
    return ProviderSettings(
        provider=Provider(
            name=kind, kind=kind, protocols=(WireProtocol.CHAT_COMPLETIONS,), auth=auth
        ),
        base_url=base_url or found.base_url,
        secrets=tuple(FromEnv(name=key) for key in keys),
    )


def answering(body: object, status: int = 200, asked: list[Query] | None = None) -> Fetch:
    """Return what fetches this whatever is asked, and notes it."""

    def fetch(query: Query) -> Fetched:
        if asked is not None:
            asked.append(query)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Fetched(body=data, status=status)

    return fetch


def at(text: str) -> float:
    """Return a time in seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


OPENROUTER = {
    "data": {
        "label": "sk-or-v1-au7...890",
        "limit": 100,
        "limit_remaining": 74.5,
        "limit_reset": "monthly",
        "usage": 25.5,
        "is_free_tier": False,
        "rate_limit": {"requests": 1000, "interval": "1h", "note": "deprecated"},
    }
}
DEEPSEEK = {
    "is_available": True,
    "balance_infos": [
        {
            "currency": "CNY",
            "total_balance": "110.00",
            "granted_balance": "10.00",
            "topped_up_balance": "100.00",
        }
    ],
}
MOONSHOT = {
    "code": 0,
    "data": {"available_balance": 49.58894, "voucher_balance": 46.5, "cash_balance": 3.0},
    "scode": "0x0",
    "status": True,
}


@pytest.mark.parametrize(
    ("kind", "url", "body", "window"),
    [
        (
            "openrouter",
            "https://openrouter.ai/api/v1/key",
            OPENROUTER,
            Window(
                name="credits-monthly",
                limit=100.0,
                remaining=74.5,
                unit="USD",
                resets_at=at("2026-12-01"),
            ),
        ),
        (
            "deepseek",
            "https://api.deepseek.com/user/balance",
            DEEPSEEK,
            Window(name="balance", remaining=110.0, unit="CNY"),
        ),
        (
            "moonshot",
            "https://api.moonshot.ai/v1/users/me/balance",
            MOONSHOT,
            Window(name="balance", remaining=49.58894, unit="USD"),
        ),
    ],
)
def test_a_provider_is_asked_where_it_answers_with_the_key(
    kind: str, url: str, body: object, window: Window
) -> None:
    """One GET of the documented address with the key, bounded in time and bytes."""
    asked: list[Query] = []
    found = probe(provider(kind), "sk-secret", NOON, answering(body, asked=asked))
    assert found == Snapshot(at=NOON, source=Source.PROBE, windows=(window,))
    (query,) = asked
    assert (query.url, query.body, query.timeout, query.limit) == (url, None, PATIENCE, LIMIT)
    assert query.access.headers["Authorization"] == "Bearer sk-secret"
    assert query.access.headers["User-Agent"].startswith("gatewayctl/")


@pytest.mark.parametrize(
    ("now", "reset", "begins"),
    [
        ("2026-11-21T12:00", "daily", "2026-11-22"),
        ("2026-11-21T12:00", "weekly", "2026-11-23"),
        ("2026-11-23T00:00", "weekly", "2026-11-30"),
        ("2026-11-22T23:59", "weekly", "2026-11-23"),
        ("2026-12-31T23:59", "monthly", "2027-01-01"),
        ("2027-01-31T12:00", "monthly", "2027-02-01"),
        ("2026-12-01T00:00", "monthly", "2027-01-01"),
    ],
)
def test_a_period_ends_by_utc(now: str, reset: str, begins: str) -> None:
    """Days, weeks from Monday and months of OpenRouter's credit limits."""
    body = {"data": {"limit": 5, "limit_remaining": 1, "limit_reset": reset}}
    (window,) = probe(provider("openrouter"), None, at(now), answering(body)).windows
    assert (window.name, window.resets_at) == (f"credits-{reset}", at(begins))


def test_a_key_without_a_limit_says_so() -> None:
    """No limit is neither 0 nor unknown."""
    body = {"data": {"limit": None, "limit_remaining": None, "limit_reset": None}}
    (window,) = probe(provider("openrouter"), None, NOON, answering(body)).windows
    assert window == Window(name="credits", unit="USD", status="unlimited")


def test_balances_in_several_currencies_are_told_apart() -> None:
    """Each currency is a window of its own; an account that cannot call says so in each."""
    body = {
        "is_available": False,
        "balance_infos": [
            {"currency": "CNY", "total_balance": "0.00"},
            {"currency": "USD", "total_balance": "nan"},
        ],
    }
    assert probe(provider("deepseek"), None, NOON, answering(body)).windows == (
        Window(name="balance-cny", remaining=0.0, unit="CNY", status="unavailable"),
        Window(name="balance-usd", unit="USD", status="unavailable"),
    )


def test_a_debt_is_negative() -> None:
    """A balance below zero is told as it is."""
    body = {"data": {"available_balance": -3.5}}
    (window,) = probe(provider("moonshot"), None, NOON, answering(body)).windows
    assert window.remaining == -3.5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"data":[]}', b'{"data":{"limit":"x"}}', b"\xff" * 9]
)
def test_an_answer_in_another_form_is_an_error_that_quotes_nothing(form: str, body: bytes) -> None:
    """Whatever is answered in place of the form, the reason repeats nothing of it."""
    with pytest.raises(SourceFailed, match="form that is not known"):
        probe(provider(form), "sk-secret", NOON, answering(body))


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the key"), (403, "refuses"), (404, "404"), (500, "500")]
)
def test_a_refusal_is_told_by_its_status(status: int, words: str) -> None:
    """An error is no answer, whatever its body says."""
    with pytest.raises(SourceFailed, match=words):
        probe(provider("openrouter"), "sk-secret", NOON, answering(OPENROUTER, status))


@pytest.mark.parametrize("kind", ["anthropic", "openai", "groq", "vllm"])
def test_who_has_no_address_for_it_is_not_asked(kind: str) -> None:
    """Anthropic and others tell a plain key nothing on request; no private address is tried."""
    assert address(provider(kind, base_url="https://up/v1")) is None
    with pytest.raises(SourceFailed):
        probe(provider(kind, base_url="https://up/v1"), None, NOON, answering({}))


@pytest.mark.parametrize("auth", [Auth.FORWARD, Auth.OAUTH, Auth.NONE])
def test_only_keys_of_the_gateways_own_are_asked_about(auth: Auth) -> None:
    """A client's credential serves its own requests alone, and a login's is not for this."""
    assert address(provider("openrouter", auth=auth)) is None


def test_every_form_that_a_kind_names_can_be_read() -> None:
    """The data and the readers agree."""
    assert {kind.probe.form for kind in kinds().values() if kind.probe is not None} == set(FORMS)


def test_every_credential_is_asked_about(make_wall: Callable[[], float]) -> None:
    """Each of several keys by its label, with its own key; what fails says why and stops none."""

    def fetch(query: Query) -> Fetched:
        if query.access.headers["Authorization"] == "Bearer two":
            raise SourceFailed("no whole reply within 10 s")
        return Fetched(body=json.dumps(OPENROUTER).encode())

    providers = [provider("openrouter", "A", "B", "C"), provider("openai", "A")]
    credentials = Credentials({"A": "one", "B": "two"})
    answers = asyncio.run(ask(providers, credentials, make_wall, fetch))
    assert [(each.label, each.error) for each in answers] == [
        ("openrouter#1", None),
        ("openrouter#2", "no whole reply within 10 s"),
    ]
    assert answers[0].snapshot is not None
    assert answers[0].snapshot.at == NOON


def test_a_password_in_the_address_is_not_shown(make_wall: Callable[[], float]) -> None:
    """Who asks needs it, who reads what was asked does not."""
    asked: list[Query] = []
    providers = [provider("openrouter", "A", base_url="https://me:hidden@up/v1")]
    fetch = answering(OPENROUTER, asked=asked)
    (answer,) = asyncio.run(ask(providers, Credentials({"A": "one"}), make_wall, fetch))
    assert (asked[0].url, answer.url) == ("https://me:hidden@up/v1/key", "https://up/v1/key")


@pytest.fixture
def make_wall() -> Callable[[], float]:
    """Return a clock that stands at noon."""
    return lambda: NOON
