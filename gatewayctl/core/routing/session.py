"""Sessions as planning sees them: who is talking, which turn it is, and what was picked before.

Pure values. How a key is found and where entries are kept is the daemon's business; what an alloy
or a dispatcher makes of an earlier pick is their own.
"""

from collections.abc import Mapping

import msgspec


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """What a route picked: ``child`` is the place's name as written in the config.

    ``turn`` is the turn in which it was drawn; ``escalations`` how often a dispatcher moved up.
    """

    child: str
    turn: int = 0
    escalations: int = 0


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation: ``picks`` maps a route's id to what it picked last.

    An ``inferred`` key (by the conversation's opening, not told by the client) keeps affinity
    only: it never causes a refusal.
    """

    key: str
    inferred: bool
    turn: int = 0
    picks: Mapping[str, Pick] = {}
