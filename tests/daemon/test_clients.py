"""Clients by their keys: who is let in, what is said to whom is not, and what each may spend."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from support.world import FakeWorld, model, places

from gatewayctl.core.allowance import Ask
from gatewayctl.core.errors import ApiError, ErrorKind, StorageFailed
from gatewayctl.core.pricing import PICO
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.daemon.clients import FREE, Clients, NotAllowed
from gatewayctl.daemon.keyring import Keyring
from gatewayctl.daemon.permitted import Client
from gatewayctl.storage.client_keys import FILE, Terms, create, digest, revoke, rotate
from gatewayctl.storage.operator import operator_key

NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC
DOLLAR = Ask(input_cost=Decimal("0.1"), cost=Decimal(1))
WORLD = FakeWorld(
    [model("a/one", prices=("1", "2")), model("a/two", prices=("1", "2")), model("b/three")],
    [Cascade(id="r", places=places("a/one", "b/three"), policy=Policy())],
)


class _House:
    """A state folder, the time, and what the ledger says was spent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.before: Mapping[str, int] = {}
        self.asked: list[tuple[str, float]] = []
        self.broken = False
        self.changes = 0

    def spent(self, folder: Path, client: str, since: float) -> int:
        assert folder == self.folder
        self.asked.append((client, since))
        if self.broken:
            raise StorageFailed("cannot read usage.db")
        return self.before.get(client, 0)

    def clients(self, *hashes: str) -> Clients:
        ring = Keyring(self.folder, hashes, self.clock, required=False)
        return Clients(ring, WORLD, self.spent, self.folder, lambda: self.now, self.clock)

    def clock(self) -> float:
        return self.now + self.changes

    def key(self, name: str = "ci", **terms: object) -> str:
        self.changes += 1  # seconds, so that the file is looked at
        return create(self.folder, name, Terms(**terms), NOW)[1]  # type: ignore[arg-type]


@pytest.fixture
def house(tmp_path: Path) -> _House:
    """Return an empty house."""
    return _House(tmp_path)


async def _known(clients: Clients, secret: str) -> Client:
    client = await clients.identify({"x-api-key": secret})
    assert client is not None
    return client


async def _refused(clients: Clients, headers: Mapping[str, str]) -> ApiError:
    with pytest.raises(NotAllowed) as refused:
        await clients.identify(headers)
    return refused.value.error


async def test_nobody_is_asked_for_a_key_where_there_is_none(house: _House) -> None:
    """Whatever a tool sends by itself is its own business then."""
    clients = house.clients()
    assert await clients.identify({"x-api-key": "gatewayctl"}) is None
    assert not clients.asked_for
    assert await clients.admit(None, DOLLAR) is FREE


@pytest.mark.parametrize(
    "headers",
    [
        {"x-gatewayctl-key": "KEY"},
        {"x-gatewayctl-key": "KEY", "authorization": "Bearer another"},
        {"authorization": "Bearer KEY"},
        {"authorization": "bearer  KEY "},
        {"x-api-key": "KEY"},
        {"x-goog-api-key": "KEY"},
        {"authorization": "Bearer another", "x-api-key": "KEY"},
        {"authorization": "Basic dTpw", "x-api-key": "KEY"},
    ],
)
async def test_a_key_may_stand_wherever_tools_put_one(
    house: _House, headers: Mapping[str, str]
) -> None:
    """A tool may send two credentials, of which one is for the gateway."""
    secret = house.key()
    clients = house.clients()
    client = await clients.identify(
        {name: it.replace("KEY", secret) for name, it in headers.items()}
    )
    assert client is not None
    assert client.name == "ci"


async def test_a_key_may_stand_in_the_url(house: _House) -> None:
    """As Google's clients put it."""
    secret = house.key()
    client = await house.clients().identify({}, secret)
    assert client is not None
    assert client.name == "ci"


async def test_who_sends_no_key_hears_how_to_get_one(house: _House) -> None:
    """The answer is no riddle: which command, and where it goes."""
    house.key()
    error = await _refused(house.clients(), {"authorization": "Bearer "})
    assert error.kind is ErrorKind.UNAUTHORIZED
    assert not error.should_retry
    assert "gatewayctl keys create" in error.message
    assert "x-gatewayctl-key" in error.message


async def test_the_header_of_its_own_is_not_overridden_by_another(house: _House) -> None:
    """Who names a key there means it, whatever else the tool sends."""
    secret = house.key()
    headers = {"x-gatewayctl-key": "gwk-other", "x-api-key": secret}
    assert (await _refused(house.clients(), headers)).kind is ErrorKind.UNAUTHORIZED


async def test_an_unknown_key_is_neither_repeated_nor_logged(
    house: _House, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a provider's; the log tells the same one again by a short hash."""
    house.key()
    clients = house.clients()
    caplog.set_level(logging.DEBUG)
    error = await _refused(clients, {"x-api-key": "sk-precious"})
    assert error.kind is ErrorKind.UNAUTHORIZED
    assert "x-api-key" in error.message
    await _refused(clients, {"x-api-key": "sk-precious"})
    assert "precious" not in error.message + caplog.text
    assert len({line.getMessage() for line in caplog.records}) == 1


async def test_a_key_that_is_no_longer_good_says_why(house: _House) -> None:
    """Expired, replaced and revoked, each with what to do where there is anything."""
    house.key("late", expires=NOW + 10)
    late = rotate(house.folder, "late", NOW)[1]
    old = house.key("ci")
    new = rotate(house.folder, "ci", NOW, grace=60)[1]
    clients = house.clients()
    assert (await _known(clients, old)).name == "ci"
    house.now = NOW + 60
    assert (await _known(clients, new)).name == "ci"
    replaced = await _refused(clients, {"x-api-key": old})
    assert "replaced by a new secret" in replaced.message
    expired = await _refused(clients, {"x-api-key": late})
    assert "expired at 2026-11-21T12:00:10Z" in expired.message
    assert "rotate late" in expired.message
    revoke(house.folder, "ci", house.now)
    house.now += 1
    revoked = await _refused(clients, {"x-api-key": new})
    assert 'the client key "ci" in x-api-key was revoked' in revoked.message
    assert {each.kind for each in (replaced, expired, revoked)} == {ErrorKind.UNAUTHORIZED}


async def test_a_key_made_just_now_is_known(house: _House) -> None:
    """Though the file was looked at a moment ago."""
    house.key()
    clients = house.clients()
    secret = house.key("new")
    house.now -= 0.9
    assert (await _known(clients, secret)).name == "new"


async def test_a_broken_file_lets_in_only_who_is_known_without_it(house: _House) -> None:
    """The operator, to mend it, and the config's own keys; others are told that it passes."""
    secret = house.key()
    (house.folder / FILE).write_bytes(b"{")
    clients = house.clients(f"sha256:{digest('mine')}")
    error = await _refused(clients, {"x-api-key": secret})
    assert error.kind is ErrorKind.UNAVAILABLE
    assert FILE in error.message
    assert FILE in (clients.degraded or "")
    assert (await _known(clients, "mine")).name.startswith("config:")
    assert (await _known(clients, operator_key(house.folder))).operator


async def test_a_credential_of_the_gateways_own_is_known_as_such(house: _House) -> None:
    """So that it goes to no upstream: known ones, and whatever looks like one."""
    secret = house.key()
    clients = house.clients(f"sha256:{digest('mine')}", f"sha256:{digest('bWluZQ==')}")
    for value in (secret, f"Bearer {secret}", "Bearer mine", "gwk-gone"):
        assert clients.is_ours(value)
    basic = b64encode(f"me:{secret}".encode()).decode()
    for value in (
        f"bearer  {secret}",
        f"Token {secret}",
        f'"{secret}", sk-other',
        f"Basic {basic}",
    ):
        assert clients.is_ours(value)
    for value in ("Bearer  mine", "BEARER\tmine", "sk-other, mine", "key=mine", "bWluZQ==,x"):
        assert clients.is_ours(value)
    for value in ("Bearer sk-other", "Basic", "Basic !", "", "sk-minetoo"):
        assert not clients.is_ours(value)


async def test_a_client_uses_and_sees_what_its_key_lists(house: _House) -> None:
    """A route by the members that it may use; what it may not is named beside what it may."""
    client = await _known(house.clients(), house.key(models=("a/one",)))
    assert client.barred("a/one", ("r",)) is None
    assert '"ci" may not use it' in (client.barred("b/three", ("r",)) or "")
    assert [client.sees(name) for name in ("a/one", "r", "a/two")] == [True, True, False]
    assert client.forbidden("r") is None
    assert client.forbidden("nothing") is None, "who plans says that there is none"
    error = client.forbidden("a/two")
    assert error is not None
    assert error.kind is ErrorKind.FORBIDDEN
    assert 'may not use "a/two"; it may use a/one' in error.message


async def test_a_key_without_a_list_uses_everything(house: _House) -> None:
    """The operator likewise."""
    clients = house.clients()
    for secret in (house.key(), operator_key(house.folder)):
        client = await _known(clients, secret)
        assert client.barred("b/three", ("r",)) is None
        assert client.sees("a/two")
        assert client.forbidden("a/two") is None


async def test_a_budget_needs_prices(house: _House) -> None:
    """Nobody can say when money is gone that nobody can count."""
    client = await _known(house.clients(), house.key(budgets=("20/day",)))
    assert client.barred("a/one", ("a/one",)) is None
    assert "set prices for it in [[models]]" in (client.barred("b/three", ("r",)) or "")


async def _over(clients: Clients, client: Client, ask: Ask = DOLLAR) -> ApiError:
    with pytest.raises(NotAllowed) as refused:
        await clients.admit(client, ask, patience=0)
    assert refused.value.error.kind is ErrorKind.RATE_LIMITED
    return refused.value.error


async def test_who_is_over_budget_hears_which_and_until_when(house: _House) -> None:
    """In words and in fields; a wait of hours is nothing to retry after."""
    house.before = {"ci": 19 * PICO}
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("20/day",)))
    held = await clients.admit(client, DOLLAR)
    error = await _over(clients, client)
    assert error.retry_after == 12 * 3600
    assert not error.should_retry
    assert error.details == {
        "client": "ci",
        "budget": "20/day",
        "spent": 19.0,
        "reserved": 1.0,
        "resets_at": "2026-11-22T00:00:00Z",
    }
    for said in ('"ci"', "$20/day", "$19.0000 is spent", "2026-11-22T00:00:00Z"):
        assert said in error.message
    clients.settle(held, Decimal("0.5"), 0)
    clients.settle(held, Decimal(100), 0)
    await clients.admit(client, DOLLAR)


async def test_calls_wait_in_line_for_what_others_have_reserved(house: _House) -> None:
    """Whoever came first is next, whoever leaves is in nobody's way, and no wait is for ever."""
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("1/day",)))
    held = await clients.admit(client, DOLLAR)
    first, gone, second = (asyncio.ensure_future(clients.admit(client, DOLLAR)) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    clients.settle(held, Decimal("0.1"), 0)
    held = await first
    assert not second.done()
    with pytest.raises(NotAllowed):
        await clients.admit(client, DOLLAR, patience=0.01)
    clients.settle(held, None, 0)
    with pytest.raises(NotAllowed):  # what is unknown took all that was reserved: nothing is left
        await second


async def test_a_budget_in_all_is_never_reset(house: _House) -> None:
    """So that there is no time to name."""
    house.before = {"ci": PICO}
    clients = house.clients()
    error = await _over(clients, await _known(clients, house.key(budgets=("1",))))
    assert error.retry_after is None
    assert "never reset" in error.message
    assert error.details["resets_at"] is None


async def test_a_call_that_no_period_can_pay_for_is_not_put_off(house: _House) -> None:
    """Its input alone costs more than the whole budget, tomorrow too; small sums are told."""
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("0.0003/day",)))
    error = await _over(clients, client, Ask(input_cost=Decimal("0.00041"), cost=Decimal(1)))
    assert (error.retry_after, error.should_retry) == (None, False)
    assert "the input of this call alone costs up to $0.00041" in error.message


async def test_who_asks_too_often_hears_for_how_long(house: _House) -> None:
    """A minute at most is worth waiting for; and a larger request than a minute holds is not."""
    clients = house.clients()
    client = await _known(clients, house.key(rpm=1, tpm=100))
    await clients.admit(client, Ask(input_tokens=10, tokens=20))
    error = await _over(clients, client, Ask())
    assert error.retry_after == pytest.approx(60, abs=0.11)
    assert error.details["rpm"] == 1
    assert "1 requests a minute" in error.message
    never = await _over(clients, client, Ask(input_tokens=101))
    assert (never.retry_after, never.should_retry) == (None, False)
    assert never.details["tpm"] == 100


async def test_what_was_spent_before_is_read_once_for_each_period(house: _House) -> None:
    """At a key's first call, however many come at once; a restart forgets nothing."""
    house.before = {"ci": 9 * PICO}
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("10/day", "50")))
    found = await asyncio.gather(
        *(clients.admit(client, DOLLAR, patience=0) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, NotAllowed) for each in found) == 4
    assert set(house.asked) == {("ci", NOW - NOW % 86_400), ("ci", 0.0)}
    asked = len(house.asked)
    await _over(clients, client)
    assert len(house.asked) == asked


async def test_a_ledger_that_cannot_be_read_lets_nobody_spend(house: _House) -> None:
    """Who has no budget is served all the same, and others as soon as it can."""
    clients = house.clients()
    bounded = await _known(clients, house.key(budgets=("1/day",)))
    house.broken = True
    with pytest.raises(NotAllowed) as refused:
        await clients.admit(bounded, DOLLAR)
    assert refused.value.error.kind is ErrorKind.UNAVAILABLE
    free = await _known(clients, house.key("free", rpm=9))
    await clients.admit(free, DOLLAR)
    house.broken = False
    await clients.admit(bounded, DOLLAR)


async def test_a_new_secret_has_the_account_of_the_old_one(house: _House) -> None:
    """Rotation gives no money back."""
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("1/day",)))
    await clients.admit(client, DOLLAR)
    secret = rotate(house.folder, "ci", NOW)[1]
    house.now += 1
    await _over(clients, await _known(clients, secret))


@pytest.mark.parametrize(
    "value", ["", " ", "gwk-", "\x00", "\udcff", "ü" * 99, "Bearer", "Bearer \t"]
)
async def test_no_value_of_a_header_confuses_it(house: _House, value: str) -> None:
    """Whatever stands there is a known key or none; what is empty is no key at all."""
    house.key()
    clients = house.clients()
    for name in ("x-gatewayctl-key", "authorization", "x-api-key"):
        assert (await _refused(clients, {name: value})).kind is ErrorKind.UNAUTHORIZED
    assert not clients.is_ours(value)
