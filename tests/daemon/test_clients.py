"""Clients by their keys: who is let in, what is said to whom is not, and what each may use."""

import logging
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from support.world import FakeWorld, model, places

from gatewayctl.core.allowance import Ask
from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.routing.graph import Cascade, Policy
from gatewayctl.daemon.accounts import Accounts
from gatewayctl.daemon.clients import Clients
from gatewayctl.daemon.keyring import Keyring
from gatewayctl.daemon.over_limit import NotAllowed
from gatewayctl.daemon.permitted import Client
from gatewayctl.storage.client_keys import FILE, Terms, create, digest, revoke, rotate
from gatewayctl.storage.operator import operator_key
from gatewayctl.storage.spending import Spending

NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC
DOLLAR = Ask(input_cost=Decimal("0.1"), cost=Decimal(1))
WORLD = FakeWorld(
    [model("a/one", prices=("1", "2")), model("a/two", prices=("1", "2")), model("b/three")],
    [Cascade(id="r", places=places("a/one", "b/three"), policy=Policy())],
)


class _House:
    """A state folder and the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.changes = 0

    def clients(self, *hashes: str) -> Clients:
        ring = Keyring(self.folder, hashes, self.clock, required=False)
        accounts = Accounts(Spending(self.folder, "ours"), lambda: self.now, self.clock)
        return Clients(ring, WORLD, accounts, lambda: self.now)

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
    assert "where a credential of your own is to go along" in error.message
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


async def test_who_stands_before_a_gateway_without_a_good_key_hears_how_to_open_it(
    house: _House,
) -> None:
    """Whose last key was revoked is shut out for good else, and nothing says why."""
    secret, other = house.key("ci"), house.key("late", expires=NOW + 10)
    revoke(house.folder, "ci", NOW)
    clients = house.clients()
    sent: list[dict[str, str]] = [{"x-api-key": secret}, {"x-api-key": "unknown"}, {}]
    told = [(await _refused(clients, each)).message for each in sent]
    assert all("keys create NAME makes one" in each for each in told)
    assert not any("keys list" in each for each in told)
    assert (await _known(clients, other)).name == "late"
    house.now += 20
    told = [(await _refused(clients, each)).message for each in sent]
    assert all("keys list says how to need none again" in each for each in told)


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
    assert "gatewayctl status" in error.message
    assert str(house.folder) not in error.message  # whoever asks may be a stranger
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


async def test_a_new_secret_has_the_account_of_the_old_one(house: _House) -> None:
    """Rotation gives no money back."""
    clients = house.clients()
    client = await _known(clients, house.key(budgets=("1/day",)))
    await clients.accounts.admit(client, DOLLAR)
    secret = rotate(house.folder, "ci", NOW)[1]
    house.now += 1
    with pytest.raises(NotAllowed):
        await clients.accounts.admit(await _known(clients, secret), DOLLAR, patience=0)


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
