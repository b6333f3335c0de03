"""How the upstreams fare: one snapshot of breakers, moved on by what attempts come to.

What opens and closes a breaker is ``core.health``'s business; here are the snapshot that everyone
shares, who is meant by an attempt, and what is told of it. No await stands anywhere.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec
from yarl import URL

from gatewayctl.config.settings import ProviderSettings, Settings
from gatewayctl.core import health
from gatewayctl.core.errors import Failure
from gatewayctl.core.happened import Happened
from gatewayctl.core.health import Health, Parties
from gatewayctl.core.routing.decision import Candidate
from gatewayctl.daemon.status import Fared, LastError
from gatewayctl.daemon.turns import Turns

log = logging.getLogger("gatewayctl.health")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as the breakers see it: whom it involves, what it probes, when it began.

    ``mark`` tells its credential from others that the label stands for later.
    """

    candidate: Candidate
    parties: Parties
    mark: str
    probed: health.Keys
    began: float


class _Tally(msgspec.Struct, kw_only=True):
    """What became of the calls to one provider since the daemon started."""

    calls: int = 0
    failures: int = 0
    under_way: int = 0
    last_error: LastError | None = None


class Board:
    """The breakers of all providers. ``clock`` is monotonic, ``wall`` is seconds since 1970.

    ``turns`` knows what the providers' credentials are called; ``mark`` returns for a label what
    tells its credential from the one before it, empty for a client's own.
    """

    def __init__(
        self,
        settings: Settings,
        turns: Turns,
        clock: Callable[[], float],
        wall: Callable[[], float],
        mark: Callable[[str], str],
    ) -> None:
        self._providers = settings.providers
        self._turns = turns
        self._clock = clock
        self._wall = wall
        self._mark = mark
        self._marks: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        self.health = Health()
        self._tallies = {name: _Tally() for name in settings.providers}

    def parties(self, candidate: Candidate, label: str) -> Parties:
        """Return whom a call of this candidate with the credential of this label involves."""
        origin = self.origin(self._providers[candidate.provider])
        return Parties(origin=origin, credential=label, model=candidate.model)

    def origin(self, provider: ProviderSettings) -> str:
        """Return the scheme, host and port that a provider is reached at."""
        name = provider.provider.name
        found = self._origins.get(name)
        if found is None:
            found = self._origins[name] = str(URL(provider.base_url).origin())
        return found

    def cooling(
        self, candidates: Iterable[Candidate], headers: Mapping[str, str]
    ) -> Mapping[str, float]:
        """Return by model for how many seconds those that cool will do so, with any credential."""
        if not self.health.breakers:
            return {}
        found = {}
        for candidate in candidates:
            settings = self._providers[candidate.provider]
            lefts = [
                self._remaining(candidate, label) for label in self._turns.labels(settings, headers)
            ]
            waits = [left for left in lefts if left is not None]
            if len(waits) == len(lefts):
                found[candidate.model] = min(waits)
        return found

    def cools(self, candidate: Candidate, label: str) -> bool:
        """Tell whether a candidate had better not be called with the credential of this label."""
        return bool(self.health.breakers) and self._remaining(candidate, label) is not None

    def begun(self, candidate: Candidate, label: str) -> Call:
        """Note that an attempt begins; give what is returned to ``over`` when it is."""
        tally = self._tallies[candidate.provider]
        tally.calls += 1
        tally.under_way += 1
        parties, now = self.parties(candidate, label), self._clock()
        self.health, probed = health.claimed(self.health, parties, now)
        mark = self._mark(label)
        return Call(candidate=candidate, parties=parties, mark=mark, probed=probed, began=now)

    def succeeded(self, call: Call) -> Health:
        """Note that an upstream answers; return what ``failed`` needs if its answer breaks off."""
        before = self.health
        after = health.succeeded(before, call.parties, self._clock(), call.began)
        self._moved(after, call.parties)
        return before

    def failed(self, call: Call, failure: Failure, before: Health | None = None) -> None:
        """Note that an attempt failed, ``before`` being what ``succeeded`` returned of it."""
        tally = self._tallies[call.candidate.provider]
        tally.failures += 1
        tally.last_error = LastError(
            at=self._wall(), model=call.candidate.model, kind=failure.kind.value, said=failure.said
        )
        now = self._clock()
        if call.mark:
            self._marks[call.parties.credential] = call.mark
        if before is None:
            after = health.failed(self.health, call.parties, failure, now)
        else:
            after = health.relapsed(self.health, before, call.parties, failure, now)
        self._moved(after, call.parties)

    def over(self, call: Call) -> None:
        """Note that an attempt has ended; let others probe what it came to no verdict on."""
        self._tallies[call.candidate.provider].under_way -= 1
        if call.probed:
            self.health = health.released(self.health, call.probed)

    def forget(self, label: str) -> None:
        """Let the credential of this label be tried, though it was to wait for its limits."""
        self.health = health.forgot(self.health, label)

    def busy(self, provider: str) -> bool:
        """Tell whether a provider is answering now."""
        return self._tallies[provider].under_way > 0

    def rendered(self, now: float) -> Mapping[str, Fared]:
        """Return by provider how its calls went, and which of its breakers are not closed."""
        states = health.states(self.health, now)
        fared = {}
        for name, tally in self._tallies.items():
            origin = self.origin(self._providers[name])
            own = (it for it in states if it.name == origin or it.name.startswith(f"{name}/"))
            fared[name] = Fared(
                origin=origin,
                breakers=tuple(own),
                last_error=tally.last_error,
                calls=tally.calls,
                failures=tally.failures,
            )
        return fared

    def _remaining(self, candidate: Candidate, label: str) -> float | None:
        """Return for how long a candidate had better not be called with a credential.

        What its credential is to wait for is not what the one after it is to.
        """
        mark = self._mark(label)
        if self._marks.get(label, mark) != mark:
            del self._marks[label]
            self.forget(label)
        return health.remaining(self.health, self.parties(candidate, label), self._clock())

    def _moved(self, after: Health, parties: Parties) -> None:
        before, self.health = self.health, after
        if after is before:
            return
        now = self._clock()
        was, now_is = health.remaining(before, parties, now), health.remaining(after, parties, now)
        if (was is None) != (now_is is None):
            log.info(
                Happened(
                    "breaker_changed",
                    {
                        "model": parties.model,
                        "origin": parties.origin,
                        "credential": parties.credential,
                        "from": "closed" if was is None else "open",
                        "to": "closed" if now_is is None else "open",
                        "seconds": None if now_is is None else round(now_is, 1),
                    },
                )
            )
