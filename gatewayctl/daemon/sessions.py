"""Sessions: which conversation a request belongs to, and what routes picked in it before.

Entries live in memory, bounded in number and age. A key is kept as a keyed hash, so that nothing a
client sent stays here. What a pick means is ``core.routing``'s business.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from gatewayctl.core.routing.session import Pick, Session
from gatewayctl.core.shape import Conversation

LIMIT = 10_000
"""How many conversations are remembered; beyond, the one that was silent longest is forgotten."""

PICKS = 256
"""How many picks one session remembers: an agent may have many conversations under one name."""

OWN_HEADER = "x-gatewayctl-session"
_CLAUDE_HEADER = "x-claude-code-session-id"
_CODEX_HEADERS = ("session-id", "session_id", "thread-id", "conversation_id")


class _Entry(msgspec.Struct):
    used: float
    picks: dict[str, Pick]


class Sessions:
    """What is remembered of conversations. ``ttl`` is seconds of silence; ``secret`` keys hashes.

    ``clock`` gives seconds that never go back.
    """

    def __init__(self, ttl: float, secret: bytes, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._secret = secret
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def find(self, headers: Mapping[str, str], conversation: Conversation) -> Session | None:
        """Return the session of a request, None when nothing tells conversations apart.

        Header names are in any case that ``headers`` understands.
        """
        told = _told(headers, conversation)
        if told is not None:
            return self.named(told, conversation)
        if conversation.opening is None:
            return None
        key = self._key("opening", conversation.opening)
        return self._session(key, conversation, inferred=True)

    def named(self, told: str, conversation: Conversation) -> Session:
        """Return the session that a client calls so."""
        key = self._key("told", told.encode(errors="surrogateescape"))
        return self._session(key, conversation, inferred=False)

    def remember(self, key: str, picks: Iterable[tuple[str, Pick]]) -> None:
        """Keep what routes picked; a later pick of the same route replaces the earlier."""
        now = self._clock()
        entry = self._entries.setdefault(key, _Entry(used=now, picks={}))
        entry.used = now
        entry.picks |= picks
        while len(entry.picks) > PICKS:
            del entry.picks[next(iter(entry.picks))]
        self._entries.move_to_end(key)
        self._forget(now)

    def _session(self, key: str, conversation: Conversation, *, inferred: bool) -> Session:
        self._forget(self._clock())
        entry = self._entries.get(key)
        picks = {} if entry is None else dict(entry.picks)
        opening = conversation.opening
        return Session(
            key=key,
            inferred=inferred,
            thread="" if opening is None else self._key("thread", opening),
            turn=conversation.turn,
            continues=conversation.continues,
            picks=picks,
        )

    def _forget(self, now: float) -> None:
        """Drop what is too old or too much; the front of the line was silent longest."""
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if len(self._entries) <= LIMIT and now - oldest.used < self._ttl:
                return
            self._entries.popitem(last=False)

    def _key(self, kind: str, value: bytes) -> str:
        # The kind keeps a name that a client tells from meeting a digest of its words.
        return hashlib.blake2b(
            value, digest_size=16, key=self._secret, person=kind.encode()
        ).hexdigest()


def _told(headers: Mapping[str, str], conversation: Conversation) -> str | None:
    """Return the session as the client names it, by the first of the ways in use."""
    for name in (OWN_HEADER, _CLAUDE_HEADER):
        if value := headers.get(name):
            return value
    if conversation.session:
        return conversation.session
    return next((value for name in _CODEX_HEADERS if (value := headers.get(name))), None)


def named_in(headers: Mapping[str, str]) -> str | None:
    """Return the session that headers alone name, without a look at the body."""
    names = (OWN_HEADER, _CLAUDE_HEADER, *_CODEX_HEADERS)
    return next((value for name in names if (value := headers.get(name))), None)
