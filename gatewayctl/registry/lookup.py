"""The registry as everybody else asks it: facts of a model, which provider lists it, near names.

Works on a loaded table in memory; where the table comes from is ``registry.cache``'s business,
precedence is ``registry.merge``'s.
"""

import difflib
import heapq
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gatewayctl.core.model import ModelFacts
from gatewayctl.registry.merge import Entry, merge, overlay
from gatewayctl.registry.table import Table

Among = tuple[str, ...] | None
"""The providers that a question is about, None for all."""

_REMEMBERED = 4096
_LATEST = "-latest"
_NEAR_CANDIDATES = 64
_GRAMS = 8

# Exactly the three forms in use; a bare number is a version and never a date.
_DATED = re.compile(
    r"^(?P<base>.+?)(?:[-@](?P<plain>20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|-(?P<dashed>20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])))$"
)


class Registry:
    """Look-up over one table, the user's own facts on top. Not changed after it is made.

    ``overrides`` are the config's facts by full id, ``usual`` what it says of every other model,
    listed or not; ``kinds`` maps the names of configured
    providers to the names under which the tables know them, where they differ; ``off`` names
    sources that are turned off.
    """

    def __init__(
        self,
        table: Table,
        *,
        overrides: Mapping[str, ModelFacts] | None = None,
        usual: ModelFacts | None = None,
        kinds: Mapping[str, str] | None = None,
        off: frozenset[str] = frozenset(),
    ) -> None:
        self.table = table
        self._overrides = overrides or {}
        nothing = ModelFacts(id=usual.id, provider=usual.provider) if usual else None
        self._usual = None if usual == nothing else usual
        self._kinds = kinds or {}
        self._off = off
        # Unknown ids are remembered like known ones, as None.
        self._facts: dict[tuple[str, str], ModelFacts | None] = {}
        self._near: dict[tuple[str, int, Among], tuple[str, ...]] = {}
        self._names: dict[tuple[bool, Among], tuple[str, ...]] = {}
        self._sorted: list[str] = []

    def facts(self, provider: str, model: str) -> ModelFacts | None:
        """Return what is known of a model at a provider; None when nobody lists it."""
        key = (provider, model)
        try:
            return self._facts[key]
        except KeyError:
            entry = self.entry(provider, model)
        if len(self._facts) >= _REMEMBERED:
            del self._facts[next(iter(self._facts))]
        found = entry.facts if entry is not None else self._said_of_all(provider, model)
        self._facts[key] = found
        return found

    def entry(self, provider: str, model: str) -> Entry | None:
        """Return the facts with the other sources' values beside them, decoded anew each time."""
        model_id = f"{provider}/{model}"
        listed = self._listed(self._kinds.get(provider, provider), model)
        entry = None
        if listed is not None:
            spoken = {
                name: said
                for name, said in self.table.spoken(listed).items()
                if name not in self._off
            }
            entry = merge(model_id, provider, spoken) if spoken else None
        own = self._overrides.get(model_id)
        if own is None and entry is not None:
            own = self._said_of_all(provider, model)
        return overlay(entry, own) if own is not None else entry

    def _said_of_all(self, provider: str, model: str) -> ModelFacts | None:
        if self._usual is None:
            return None
        return msgspec.structs.replace(self._usual, id=f"{provider}/{model}", provider=provider)

    def listed_by(self, model: str, providers: Sequence[str]) -> tuple[str, ...]:
        """Return those of ``providers`` that list exactly this bare id, in the order given."""
        return tuple(
            provider
            for provider in providers
            if f"{provider}/{model}" in self._overrides
            or self._in_table(f"{self._kinds.get(provider, provider)}/{model}")
        )

    def nearest(self, name: str, limit: int = 3, among: Among = None) -> tuple[str, ...]:
        """Return known names that look like ``name``: full ids if it has a slash, else bare ones.

        ``among`` are the providers whose models may be named, None for all; the fewer they are,
        the less it takes: up to a few milliseconds the first time a name is asked for.
        """
        key = (name, limit, among)
        if key not in self._near:
            if len(self._near) >= _REMEMBERED:
                del self._near[next(iter(self._near))]
            self._near[key] = self._search(name, limit, among)
        return self._near[key]

    def ids(self, provider: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield ``(provider, model)`` of everything known, sorted; of one provider if named."""
        own = [model_id for model_id in self._overrides if _of(model_id, provider)]
        if provider is None:
            known = {model_id for model_id in self.table.ids() if self._in_table(model_id)}
        else:
            prefix = f"{self._kinds.get(provider, provider)}/"
            known = {
                f"{provider}/{model_id[len(prefix) :]}"
                for model_id in self.table.ids()
                if model_id.startswith(prefix) and self._in_table(model_id)
            }
        for model_id in sorted(known.union(own)):
            name, _, model = model_id.partition("/")
            yield name, model

    def _in_table(self, model_id: str) -> bool:
        if model_id not in self.table:
            return False
        return not self._off or any(name not in self._off for name in self.table.spoken(model_id))

    def _listed(self, provider: str, model: str) -> str | None:
        """Return the table's id of a model: as it is, else under its date or ``-latest`` forms."""
        for candidate in self._forms(provider, model):
            model_id = f"{provider}/{candidate}"
            if self._in_table(model_id):
                return model_id
        return None

    def _forms(self, provider: str, model: str) -> Iterator[str]:
        yield model
        dated = _DATED.match(model)
        if dated is not None:
            base, date = dated["base"], (dated["plain"] or dated["dashed"]).replace("-", "")
            # The same day in another spelling first, then the undated id; never another day.
            yield from (
                listed for day, listed in self._dates_of(f"{provider}/{base}") if day == date
            )
            yield base
            yield base + _LATEST
        elif model.endswith(_LATEST):
            base = model.removesuffix(_LATEST)
            yield from (listed for _, listed in self._dates_of(f"{provider}/{base}"))
            yield base
        else:
            yield model + _LATEST
            yield from (listed for _, listed in self._dates_of(f"{provider}/{model}"))

    def _dates_of(self, base: str) -> list[tuple[str, str]]:
        """Return the dated ids of ``provider/base``, newest first, with their day as YYYYMMDD."""
        start = len(base.partition("/")[0]) + 1
        found = [
            ((dated["plain"] or dated["dashed"]).replace("-", ""), model_id[start:])
            for model_id in self._starting_with(base)
            if (dated := _DATED.match(model_id)) is not None and dated["base"] == base
        ]
        return sorted(found, reverse=True)

    def _starting_with(self, prefix: str) -> Iterator[str]:
        """Yield the table's ids that start so. A config may name thousands, so none is scanned."""
        if not self._sorted:
            self._sorted = sorted(self.table.ids())
        for place in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[place].startswith(prefix):
                return
            yield self._sorted[place]

    def _search(self, name: str, limit: int, among: Among) -> tuple[str, ...]:
        whole = "/" in name
        known = (whole, among)
        if known not in self._names:
            self._names[known] = tuple(dict.fromkeys(self._all(among, whole=whole)))
        grams = [name[i : i + 3].lower() for i in range(max(1, len(name) - 2))]
        grams = grams[:: 1 + len(grams) // _GRAMS]
        size = len(name)

        def likeness(other: str) -> float:
            return sum([gram in other for gram in grams]) - abs(len(other) - size) / 8

        # difflib is slow: it ranks only what shares the most three-letter runs with the name.
        close = heapq.nlargest(_NEAR_CANDIDATES, self._names[known], key=likeness)
        return tuple(difflib.get_close_matches(name, close, n=limit))

    def _all(self, among: Among, *, whole: bool) -> Iterator[str]:
        """Yield every name, under the providers' own names where those are given."""
        names = None
        if among is not None:
            names = {self._kinds.get(provider, provider): provider for provider in among}
        for model_id in self._overrides:
            yield model_id if whole else model_id.partition("/")[2]
        for model_id in self.table.ids():
            table, _, model = model_id.partition("/")
            provider = table if names is None else names.get(table)
            if provider is not None:
                yield f"{provider}/{model}" if whole else model


def _of(model_id: str, provider: str | None) -> bool:
    return provider is None or model_id.startswith(f"{provider}/")
