"""The registry as everybody else asks it: facts of a model, which provider lists it, near names.

Works on a loaded table in memory; where the table comes from is ``registry.cache``'s business,
precedence is ``registry.merge``'s.
"""

import difflib
import heapq
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gatewayctl.config.kinds import Billing, kinds
from gatewayctl.core.model import ModelFacts
from gatewayctl.registry.claims import Claims
from gatewayctl.registry.following import from_the_limit, with_cached_reads, with_hours_of_prices
from gatewayctl.registry.forms import Names
from gatewayctl.registry.merge import Entry, Spoken, merge, overlay
from gatewayctl.registry.table import Table

Among = tuple[str, ...] | None
"""The providers that a question is about, None for all."""

_REMEMBERED = 512  # some kilobytes each
_NEAR_CANDIDATES = 64
_GRAMS = 8
_TAG = ":latest"  # what Ollama means by a name without a tag


class Registry:
    """Look-up over one table, the user's own facts on top. Not changed after it is made.

    ``overrides`` are the config's facts by full id, ``usual`` what it says of every other model,
    listed or not; ``kinds`` maps the names of configured providers to the names under which the
    tables know them, where they differ; ``listings`` maps them to the sources that are their own
    listings; ``off`` names sources that are turned off.
    """

    def __init__(
        self,
        table: Table,
        *,
        overrides: Mapping[str, ModelFacts] | None = None,
        usual: ModelFacts | None = None,
        kinds: Mapping[str, str] | None = None,
        listings: Mapping[str, str] | None = None,
        off: frozenset[str] = frozenset(),
    ) -> None:
        self.table = table
        self._overrides = overrides or {}
        nothing = ModelFacts(id=usual.id, provider=usual.provider) if usual else None
        self._usual = None if usual == nothing else usual
        self._kinds = kinds or {}
        self._listings = listings or {}
        self._off = off
        # Unknown ids are remembered like known ones, as None.
        self._facts: dict[tuple[str, str], ModelFacts | None] = {}
        self._near: dict[tuple[str, int, Among], tuple[str, ...]] = {}
        self._names: dict[tuple[bool, Among], tuple[str, ...]] = {}
        self._in_tables: dict[str, Names] = {}
        self._in_listings: dict[str, Names] = {}

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
        spoken, source = self._spoken(provider, model)
        billing = _billing(self._kinds.get(provider, provider))
        if billing.steps_from_limit:
            spoken = {name: _from_the_limit(each) for name, each in spoken.items()}
        entry = merge(model_id, provider, spoken, source) if spoken else None
        own = self._overrides.get(model_id)
        if own is None and entry is not None:
            own = self._said_of_all(provider, model)
        if own is not None:
            entry = overlay(entry, own)
        if entry is None or billing.cached_share is None:
            return entry
        facts = with_cached_reads(entry.facts, billing.cached_share)
        return msgspec.structs.replace(entry, facts=facts)

    def _said_of_all(self, provider: str, model: str) -> ModelFacts | None:
        if self._usual is None:
            return None
        usual = with_hours_of_prices(self._usual)
        return msgspec.structs.replace(usual, id=f"{provider}/{model}", provider=provider)

    def listed_by(self, model: str, providers: Sequence[str]) -> tuple[str, ...]:
        """Return those of ``providers`` that list exactly this bare id, in the order given."""
        return tuple(
            provider
            for provider in providers
            if f"{provider}/{model}" in self._overrides
            or model in self._tables(provider)
            or model in self._own(provider)
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
        known = {model_id for model_id in self._overrides if _of(model_id, provider)}
        if provider is None:
            for table in self.table.providers():
                known.update(f"{table}/{model}" for model in self._listed(table))
            for name in self._listings:
                known.update(f"{name}/{model}" for model in self._own(name))
        else:
            known.update(f"{provider}/{model}" for model in self._tables(provider))
            known.update(f"{provider}/{model}" for model in self._own(provider))
        for model_id in sorted(known):
            name, _, model = model_id.partition("/")
            yield name, model

    def _spoken(self, provider: str, model: str) -> tuple[dict[str, Spoken], str | None]:
        """Return what the sources say of a model, and which of them is the provider's own.

        The tables and the provider's listing each answer by the id that they know it by.
        """
        source = self._listings.get(provider)
        own = None if source is None else self._said_by(source, provider, model)
        alias = None if own is None else own.claims.alias_of
        listed = self._tables(provider).find(model, *((alias,) if alias else ()))
        spoken: dict[str, Spoken] = {}
        if listed is not None:
            said = self.table.spoken(f"{self._kinds.get(provider, provider)}/{listed}")
            spoken = {name: each for name, each in said.items() if name not in self._off}
        if source is not None and own is not None:
            spoken[source] = own
        return spoken, source

    def _said_by(self, source: str, provider: str, model: str) -> Spoken | None:
        """Return what a provider's own listing says of a model, or of the one it is a name for."""
        tagged = model.removesuffix(_TAG) if model.endswith(_TAG) else model + _TAG
        listed = self._own(provider).find(model, tagged)
        found = None if listed is None else self.table.own(source, listed)
        if found is None or found.claims != Claims(alias_of=found.claims.alias_of):
            return found
        meant = self.table.own(source, found.claims.alias_of or "")
        if meant is None:
            return found
        claims = msgspec.structs.replace(meant.claims, alias_of=found.claims.alias_of)
        return Spoken(claims=claims, fetched_at=meant.fetched_at)

    def _tables(self, provider: str) -> Names:
        """Return the ids that the tables have of a configured provider."""
        return self._listed(self._kinds.get(provider, provider))

    def _listed(self, table: str) -> Names:
        """Return the ids that the tables have under a provider's name in them."""
        found = self._in_tables.get(table)
        if found is None:
            known = self.table.models(table)
            if self._off:
                known = {model for model in known if self._is_said(f"{table}/{model}")}
            found = Names(known)
            if known:  # a name that somebody made up is not kept
                self._in_tables[table] = found
        return found

    def _is_said(self, model_id: str) -> bool:
        return any(name not in self._off for name in self.table.spoken(model_id))

    def _own(self, provider: str) -> Names:
        """Return the ids in a provider's own listing."""
        found = self._in_listings.get(provider)
        if found is None:
            source = self._listings.get(provider)
            if source is None or source in self._off:
                return _NONE
            found = self._in_listings[provider] = Names(self.table.listed(source))
        return found

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
        for model_id in self._overrides:
            yield model_id if whole else model_id.partition("/")[2]
        if among is None:
            for table in self.table.providers():
                yield from _named(table, self._listed(table), whole=whole)
        for provider in among if among is not None else self._listings:
            if among is not None:
                yield from _named(provider, self._tables(provider), whole=whole)
            yield from _named(provider, self._own(provider), whole=whole)


_NONE = Names(())


def _named(provider: str, models: Names, *, whole: bool) -> Iterator[str]:
    for model in models:
        yield f"{provider}/{model}" if whole else model


def _of(model_id: str, provider: str | None) -> bool:
    return provider is None or model_id.startswith(f"{provider}/")


def _billing(kind: str) -> Billing:
    """Return how a provider's prices are meant; as they are stated where nothing is known of it."""
    known = kinds().get(kind)
    return Billing() if known is None else known.billing


def _from_the_limit(said: Spoken) -> Spoken:
    return msgspec.structs.replace(said, claims=from_the_limit(said.claims))
