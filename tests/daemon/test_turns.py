"""Several credentials of one provider: whose turn it is, and what happens when one fails."""

import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest
from support.gateway import Gateway, gateway, settings_of
from support.keyed import Keyed, Reply, keyed

from gatewayctl.core.errors import FailureKind
from gatewayctl.daemon.turns import KEPT, REFUSED, Turns
from gatewayctl.upstream.at_hand import labels
from gatewayctl.upstream.headers import QUERY

ONE, TWO, THREE = "stand-in-one", "stand-in-two", "stand-in-three"
CONFIG = """
[providers.up]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = ["{one}", "{two}", "{three}"]

[providers.other]
kind = "openai-compatible"
base_url = "{url}/v1"
api_key = "stand-in-other"

[[cascades]]
id = "both"
[[cascades.steps]]
model = "up/m"
context_window = "128K"
[[cascades.steps]]
model = "other/m"
context_window = "128K"
"""


@contextlib.asynccontextmanager
async def running(
    replies: Mapping[str, Reply] | None = None,
) -> AsyncIterator[tuple[Gateway, Keyed]]:
    """Run a gateway whose provider ``up`` has three credentials."""
    async with keyed(replies) as upstream:
        config = CONFIG.format(url=upstream.base_url, one=ONE, two=TWO, three=THREE)
        async with gateway(config) as it:
            yield it, upstream


async def ask(
    it: Gateway, session: str | None = None, model: str = "up/m"
) -> tuple[int, Mapping[str, str]]:
    """Ask for one answer; return its status and headers."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {} if session is None else {"x-gatewayctl-session": session}
    url = f"{it.url}/v1/chat/completions"
    async with it.client.post(url, json=body, headers=headers) as reply:
        await reply.read()
        return reply.status, reply.headers


async def test_requests_that_belong_together_keep_their_credential_and_others_take_turns() -> None:
    """A provider keeps its prompt cache by account, so a conversation stays at one."""
    async with running() as (it, upstream):
        for session in ("a", "b", "a", "c", "b", "a", None, None):
            assert (await ask(it, session))[0] == 200
    assert upstream.calls == [ONE, TWO, ONE, THREE, TWO, ONE, ONE, TWO]


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_where_one_credential_fails_the_next_is_tried_at_once(status: int) -> None:
    """The client sees the answer alone; what failed is an attempt of its own, and passed over."""
    async with running({ONE: (status, {"retry-after": "30"})}) as (it, upstream):
        told, headers = await ask(it)
        assert (told, headers["x-gatewayctl-attempts"]) == (200, "2")
        assert upstream.calls == [ONE, TWO]
        upstream.calls.clear()
        for _ in range(4):
            assert (await ask(it))[0] == 200
    assert ONE not in upstream.calls


async def test_a_conversation_moves_when_its_credential_fails() -> None:
    """And stays where it went."""
    async with running() as (it, upstream):
        await ask(it, "a")
        upstream.replies[ONE] = (429, {"retry-after": "60"})
        for _ in range(3):
            assert (await ask(it, "a"))[0] == 200
    assert upstream.calls[:2] == [ONE, ONE]
    assert len(set(upstream.calls[2:])) == 1
    assert ONE not in upstream.calls[2:]


async def test_the_route_goes_on_once_all_credentials_are_limited() -> None:
    """Each is tried once, and then the next candidate."""
    limited: Reply = (429, {"retry-after": "60"})
    async with running({ONE: limited, TWO: limited, THREE: limited}) as (it, upstream):
        status, headers = await ask(it, model="both")
        assert (status, headers["x-gatewayctl-model"]) == (200, "other/m")
        assert sorted(upstream.calls) == sorted([ONE, TWO, THREE, "stand-in-other"])
        upstream.calls.clear()
        assert (await ask(it, model="both"))[0] == 200
    assert upstream.calls == ["stand-in-other"]


async def test_all_credentials_refused_is_told_with_what_to_do() -> None:
    """It is the gateway's own trouble: 502, and nothing that makes an agent try again."""
    refused: Reply = (401, {})
    async with running({ONE: refused, TWO: refused, THREE: refused}) as (it, upstream):
        status, headers = await ask(it)
    assert (status, headers["x-should-retry"]) == (502, "false")
    assert upstream.calls == [ONE, TWO, THREE]


async def test_a_request_that_is_at_fault_itself_is_not_tried_with_other_credentials() -> None:
    """A 400 says nothing of the credential."""
    async with running({ONE: (400, {})}) as (it, upstream):
        assert (await ask(it))[0] == 400
    assert upstream.calls == [ONE]


class NothingSpent:
    """Knows of no credential that is spent."""

    def spent(self, label: str) -> float | None:  # noqa: ARG002 - it is so of each
        """Return that it is not."""
        return None

    def is_paid_beyond(self, label: str) -> bool:  # noqa: ARG002 - it is so of each
        """Return that it is not."""
        return False


def test_a_refused_credential_has_its_turn_again_after_a_while() -> None:
    """Until then others go first; where there is no other nothing is kept of it."""
    more = "[providers.theirs]\nkind = 'openai'\nauth = 'forward'\n"
    config = CONFIG.format(url="http://127.0.0.1:9", one=ONE, two=TWO, three=THREE) + more
    providers = settings_of(config).providers
    up, theirs = providers["up"], providers["theirs"]
    now = [0.0]
    turns = Turns(labels, NothingSpent(), b"k", lambda: now[0])
    turns.refused(up, "up#1")
    assert {turns.chosen(up, {}, None) for _ in range(6)} == {"up#2", "up#3"}
    now[0] = REFUSED
    assert {turns.chosen(up, {}, None) for _ in range(6)} == {"up#1", "up#2", "up#3"}
    for number in range(100):
        client = {"authorization": f"Bearer {number}"}
        turns.refused(theirs, turns.chosen(theirs, client, None))
    assert set(turns._refused) == {"up#1"}


class Spent:
    """Credentials that are spent, of which some go on for more money."""

    def __init__(self, *labels: str, paid: str = "") -> None:
        self._labels = labels
        self._paid = paid

    def spent(self, label: str) -> float | None:
        """Return a time to come for those that are."""
        return 60.0 if label in self._labels else None

    def is_paid_beyond(self, label: str) -> bool:
        """Tell whether this is the one that is."""
        return label == self._paid


@pytest.mark.parametrize(
    ("spent", "there", "failed", "chosen"),
    [
        (Spent(), ("up#1", "up#2", "up#3"), ("up#1", "up#2"), "up#3"),
        (Spent(), ("up#3",), (), "up#3"),
        (Spent("up#1", "up#2"), ("up#1", "up#2", "up#3"), (), "up#3"),
        (Spent("up#1", "up#2", "up#3", paid="up#2"), ("up#1", "up#2", "up#3"), (), "up#2"),
        (Spent("up#3"), ("up#1", "up#3"), ("up#1",), "up#3"),
    ],
    ids=["failed", "not there", "spent", "paid beyond", "failed and spent"],
)
def test_the_credential_with_the_best_chance_is_used(
    spent: Spent, there: tuple[str, ...], failed: tuple[str, ...], chosen: str
) -> None:
    """Whosever turn it is, what is known to be in vain is not tried before another."""
    config = CONFIG.format(url="http://127.0.0.1:9", one=ONE, two=TWO, three=THREE)
    up = settings_of(config).providers["up"]
    turns = Turns(lambda _: there, spent, b"k", lambda: 0.0)
    assert {turns.chosen(up, {}, None, failed) for _ in range(3)} == {chosen}


def test_a_small_question_is_asked_with_no_spent_credential() -> None:
    """It would be refused, and takes no turn."""
    config = CONFIG.format(url="http://127.0.0.1:9", one=ONE, two=TWO, three=THREE)
    up = settings_of(config).providers["up"]
    assert Turns(labels, Spent("up#1"), b"k", lambda: 0.0).aside(up, {}) == "up#2"
    assert Turns(lambda _: ("up#3",), Spent(), b"k", lambda: 0.0).aside(up, {}) == "up#3"
    assert Turns(labels, Spent("up#1", "up#2", "up#3"), b"k", lambda: 0.0).aside(up, {}) is None


@pytest.mark.parametrize(
    ("spent", "there", "worth"),
    [
        (Spent(), ("up#1", "up#2"), True),
        (Spent("up#2"), ("up#1", "up#2"), False),
        (Spent("up#2"), ("up#1", "up#2", "up#3"), True),
        (Spent(), ("up#1",), False),
    ],
)
def test_another_is_tried_at_once_where_it_may_do(
    spent: Spent, there: tuple[str, ...], *, worth: bool
) -> None:
    """One that is spent, or not there, would cost a call and the time for it."""
    config = CONFIG.format(url="http://127.0.0.1:9", one=ONE, two=TWO, three=THREE)
    up = settings_of(config).providers["up"]
    turns = Turns(lambda _: there, spent, b"k", lambda: 0.0)
    assert turns.another(up, FailureKind.AUTH, {"up#1"}) is worth
    assert not turns.another(up, FailureKind.BAD_REQUEST, {"up#1"})


def test_the_conversation_that_was_silent_longest_is_forgotten_first() -> None:
    """One that goes on keeps its credential, however many others began since."""
    config = CONFIG.format(url="http://127.0.0.1:9", one=ONE, two=TWO, three=THREE)
    up = settings_of(config).providers["up"]
    turns = Turns(labels, NothingSpent(), b"k", lambda: 0.0)
    first = turns.chosen(up, {}, "first")
    for number in range(KEPT - 1):
        turns.chosen(up, {}, f"{number}")
    assert turns.chosen(up, {}, "first") == first
    turns.chosen(up, {}, "one more")
    assert ("up", "first") in turns._kept
    assert ("up", "0") not in turns._kept


@pytest.mark.parametrize("header", ["api-key", "x-api-token", "x-odd", QUERY])
def test_clients_are_told_apart_by_any_header_that_forwards_a_credential(header: str) -> None:
    """What is learned of one client's credential is no other's, wherever it travels."""
    theirs = settings_of("[providers.theirs]\nkind = 'openai'\nauth = 'forward'\n").providers
    turns = Turns(labels, NothingSpent(), b"k", lambda: 0.0)
    found = [turns.labels(theirs["theirs"], {header: f"key={value * 8}"})[0] for value in "aab"]
    assert found[0] == found[1] != found[2]
