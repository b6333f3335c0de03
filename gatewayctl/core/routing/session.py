"""Sessions as planning sees them: who is talking, which turn it is, and what was picked before.

Pure values. How a key is found and where entries are kept is the daemon's business; what an alloy
or a dispatcher makes of an earlier pick is their own.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

_THREAD: Final = "\0thread:"
"""Stands between a route and a conversation; no id in a config has it."""


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """What a route picked: ``child`` is the place's name as written in the config.

    ``turn`` is the turn in which it was drawn; ``escalations`` how often a dispatcher moved up.
    """

    child: str
    turn: int = 0
    escalations: int = 0


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session: ``picks`` maps a route's memory to what it picked last.

    That is its id, or ``of_thread`` where a route remembers each conversation by itself.

    An ``inferred`` key (by the conversation's opening, not told by the client) keeps affinity
    only: it never causes a refusal. One session may hold several conversations at once (an agent
    and its helpers): ``thread`` tells them apart. ``continues``: the turn is under way, tool
    results having come since the user's last words.
    """

    key: str
    inferred: bool
    thread: str = ""
    turn: int = 0
    continues: bool = False
    picks: Mapping[str, Pick] = {}

    def of_thread(self, route: str) -> str:
        """Return under what a route remembers this conversation alone."""
        return f"{route}{_THREAD}{self.thread}" if self.thread else route

    def own_picks(self) -> Mapping[str, Pick]:
        """Return by route what was picked for this conversation, or for the session as a whole."""
        own = self.of_thread("")
        return {
            memory.removesuffix(own): pick
            for memory, pick in self.picks.items()
            if _THREAD not in memory or (own and memory.endswith(own))
        }
