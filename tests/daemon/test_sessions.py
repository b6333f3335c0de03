"""Sessions: whose request it is, and what is remembered of it."""

import pytest

from gatewayctl.core.routing.session import Pick
from gatewayctl.core.shape import Conversation
from gatewayctl.daemon import sessions
from gatewayctl.daemon.sessions import Sessions


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return what the test set."""
        return self.now


def at(turn: int) -> Conversation:
    """Return a conversation that has come so far."""
    return Conversation(turn=turn)


def store(clock: Clock | None = None) -> Sessions:
    """Make a store with an hour of memory."""
    return Sessions(3600.0, b"secret", clock or Clock())


ALL = {
    "x-gatewayctl-session": "own",
    "x-claude-code-session-id": "claude",
    "session-id": "codex",
    "thread-id": "thread",
}
BODY = Conversation(session="body", opening=b"opening", turn=3)


@pytest.mark.parametrize(
    ("headers", "conversation", "same_as"),
    [
        (ALL, BODY, "own"),
        ({**ALL, "x-gatewayctl-session": ""}, BODY, "claude"),
        ({"session-id": "codex", "thread-id": "t"}, BODY, "body"),
        ({"session-id": "codex", "thread-id": "t"}, Conversation(opening=b"o"), "codex"),
        ({"thread-id": "t", "conversation_id": "c"}, Conversation(), "t"),
        ({"conversation_id": "c"}, Conversation(), "c"),
    ],
)
def test_the_first_key_found_counts(
    headers: dict[str, str], conversation: Conversation, same_as: str
) -> None:
    """Own header, Claude Code's header, the body's own, Codex' headers: in this order."""
    found = store().find(headers, conversation)
    assert found is not None
    assert found.key == store().named(same_as, at(0)).key
    assert not found.inferred
    assert found.turn == conversation.turn


def test_without_a_key_the_opening_tells_conversations_apart() -> None:
    """An inferred key is marked as such, and is never one that a client could name."""
    held = store()
    first = held.find({}, Conversation(opening=b"a", turn=1))
    again = held.find({}, Conversation(opening=b"a", turn=2))
    other = held.find({}, Conversation(opening=b"b", turn=1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.inferred
    assert first.key == again.key != other.key
    assert held.named("a", at(1)).key != first.key


def test_nothing_to_go_by_is_no_session() -> None:
    """A request without any user message has no session."""
    assert store().find({}, Conversation()) is None


def test_the_key_is_no_word_of_the_client() -> None:
    """What is kept is a keyed hash: another secret gives another key."""
    assert "own" not in store().named("own", at(0)).key
    other = Sessions(3600.0, b"another", Clock())
    assert other.named("own", at(0)).key != store().named("own", at(0)).key


def test_picks_are_remembered_until_the_conversation_is_silent_for_too_long() -> None:
    """Using an entry keeps it; silence for the TTL forgets it."""
    clock = Clock()
    held = store(clock)
    key = held.named("a", at(1)).key
    held.remember(key, [("blend", Pick(child="x", turn=1)), ("pick", Pick(child="y"))])
    clock.now = 3599.0
    held.remember(key, [("blend", Pick(child="z", turn=2))])
    clock.now = 2 * 3599.0 - 1
    assert held.named("a", at(2)).picks == {
        "blend": Pick(child="z", turn=2),
        "pick": Pick(child="y"),
    }
    clock.now = 2 * 3600.0
    assert held.named("a", at(2)).picks == {}


def test_the_number_of_conversations_is_bounded() -> None:
    """The one that was silent longest goes first."""
    held = store()
    keys = [held.named(str(number), at(1)).key for number in range(sessions.LIMIT + 1)]
    for key in keys:
        held.remember(key, [("blend", Pick(child="x"))])
    assert held.named("0", at(1)).picks == {}
    assert held.named("1", at(1)).picks


def test_conversations_under_one_name_are_told_apart() -> None:
    """An agent and its helpers share a session: what belongs to a turn is kept for each alone."""
    held = store()
    headers = {"x-claude-code-session-id": "s"}
    one = held.find(headers, Conversation(opening=b"one", turn=2, continues=True))
    two = held.find(headers, Conversation(opening=b"two", turn=1))
    assert one is not None
    assert two is not None
    assert one.key == two.key
    assert one.of_thread("blend") != two.of_thread("blend")
    assert one.continues
    assert not two.continues


def test_what_one_session_remembers_is_bounded() -> None:
    """The oldest picks go first."""
    held = store()
    key = held.named("a", at(1)).key
    held.remember(key, [(str(number), Pick(child="x")) for number in range(sessions.PICKS + 1)])
    assert set(held.named("a", at(1)).picks) == {str(n + 1) for n in range(sessions.PICKS)}
