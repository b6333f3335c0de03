"""Which of a provider's credentials an attempt uses.

They are used in turn: a conversation keeps the one that it began with, since prompt caches are kept
by account, and the next conversation gets the next one. One that is spent, refused or cooling is
passed over as long as another may do. What each is worth is ``upstream.credentials``' business, how
much of its quota is left ``quotas``', how it fares ``health``'s.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import Auth
from gatewayctl.upstream.at_hand import labels
from gatewayctl.upstream.headers import credentials_of

KEPT: Final = 10_000
"""Conversations whose credential is remembered; the one silent longest is forgotten first."""

REFUSED: Final = 60.0
"""Seconds for which a credential that was refused is passed over where there are others."""

ANOTHER_MAY_DO: Final = frozenset(
    {
        FailureKind.AUTH,
        FailureKind.FORBIDDEN,
        FailureKind.RATE_LIMITED,
        FailureKind.QUOTA_EXHAUSTED,
    }
)
"""What lies with a credential, and not with the request or the server."""


class Spent(Protocol):
    """Knows which credentials are spent."""

    def spent(self, label: str) -> float | None:
        """Return until when (seconds since 1970) a credential is spent, None when it is not."""
        ...

    def is_paid_beyond(self, label: str) -> bool:
        """Tell whether its provider goes on serving a credential that is spent, for more money."""
        ...


class Turns:
    """Chooses among credentials. Use within one event loop: no await stands here.

    ``usable`` returns the labels of those that are likely to be had, ``clock`` seconds that never
    go back; ``secret`` keys the labels of clients' own credentials.
    """

    def __init__(
        self,
        usable: Callable[[ProviderSettings], Sequence[str]],
        quotas: Spent,
        secret: bytes,
        clock: Callable[[], float],
    ) -> None:
        self._usable = usable
        self._quotas = quotas
        self._secret = secret
        self._clock = clock
        self._next: dict[str, int] = {}
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._refused: dict[str, float] = {}

    def labels(self, settings: ProviderSettings, headers: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a provider's credentials are called for a client with these headers.

        A label says nothing of the credential; a client's own has one that is a keyed hash.
        """
        if settings.provider.auth is not Auth.FORWARD:
            return labels(settings)
        told = "\0".join(credentials_of(headers))
        digest = blake2b(told.encode(errors="surrogateescape"), key=self._secret, digest_size=8)
        return (f"{settings.provider.name}/{digest.hexdigest()}",)

    def chosen(
        self,
        settings: ProviderSettings,
        headers: Mapping[str, str],
        session: str | None,
        failed: Collection[str] = (),
        cools: Callable[[str], bool] = lambda _: False,
    ) -> str:
        """Return the label of the credential to use now.

        ``failed`` are those that failed this request before, which come last; ``cools`` tells of a
        credential whether it had better wait.
        """
        known = self.labels(settings, headers)
        if len(known) == 1:
            return known[0]
        order = self._in_turn(settings, known, session)
        there = set(self._usable(settings))
        now = self._clock()

        def rank(label: str) -> tuple[bool, ...]:
            spent = self._quotas.spent(label) is not None
            return (
                label in failed,
                label not in there,
                spent,
                spent and not self._quotas.is_paid_beyond(label),
                now < self._refused.get(label, now),
                cools(label),
            )

        label = min(order, key=rank)
        if session is not None:
            self._keep((settings.provider.name, session), label)
        return label

    def aside(self, settings: ProviderSettings, headers: Mapping[str, str]) -> str | None:
        """Return the label of a credential for a small question besides, which takes no turn.

        None where all are spent.
        """
        now, there = self._clock(), set(self._usable(settings))
        left = [each for each in self.labels(settings, headers) if self._quotas.spent(each) is None]
        left.sort(key=lambda each: (each not in there, now < self._refused.get(each, now)))
        return left[0] if left else None

    def another(
        self, settings: ProviderSettings, kind: FailureKind, failed: Collection[str]
    ) -> bool:
        """Tell whether, after a failure of this kind, another credential is worth a try at once.

        ``failed`` are all that failed this request so far.
        """
        if kind not in ANOTHER_MAY_DO or len(settings.secrets) < 2:  # noqa: PLR2004 - just one
            return False
        return any(
            label not in failed and self._quotas.spent(label) is None
            for label in self._usable(settings)
        )

    def refused(self, settings: ProviderSettings, label: str) -> None:
        """Note that a provider refuses a credential; by and by it is tried again.

        One that is alone is always tried, a client's own among them, of which there is no end.
        """
        if len(settings.secrets) > 1:
            self._refused[label] = self._clock() + REFUSED

    def spent(self, settings: ProviderSettings, headers: Mapping[str, str]) -> float | None:
        """Return until when all of a provider's credentials are spent, None when one is not."""
        soonest = float("inf")
        for label in self.labels(settings, headers):
            until = self._quotas.spent(label)
            if until is None:
                return None
            soonest = min(soonest, until)
        return soonest

    def is_paid_beyond(self, settings: ProviderSettings, headers: Mapping[str, str]) -> bool:
        """Tell whether a provider whose credentials are all spent goes on serving one of them."""
        return any(map(self._quotas.is_paid_beyond, self.labels(settings, headers)))

    def _in_turn(
        self, settings: ProviderSettings, known: Sequence[str], session: str | None
    ) -> list[str]:
        """Return all labels from the one whose turn it is: what a conversation has used is."""
        name = settings.provider.name
        kept = None if session is None else self._kept.get((name, session))
        if kept in known:
            start = known.index(kept)
        else:
            start = self._next.get(name, 0) % len(known)
            self._next[name] = start + 1
        return [*known[start:], *known[:start]]

    def _keep(self, key: tuple[str, str], label: str) -> None:
        self._kept[key] = label
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
