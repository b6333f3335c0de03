"""Under which of its forms a list knows an id: as it is, by an alias, or with and without a date.

Pure. What the lists say of their models is ``registry.table``'s business.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator

_LATEST = "-latest"

# Exactly the three forms in use; a bare number is a version and never a date.
_DATED = re.compile(
    r"^(?P<base>.+?)(?:[-@](?P<plain>20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|-(?P<dashed>20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])))$"
)


class Names:
    """The bare ids that one list has of one provider; sorted when a form is first looked for."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._sorted: list[str] | None = None

    def __contains__(self, model: str) -> bool:
        return model in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def find(self, model: str, *aliases: str) -> str | None:
        """Return the id that a model is listed by, None when it is not.

        Exactly as it is comes first, then ``aliases``, then its date or ``-latest`` forms.
        """
        for candidate in (model, *aliases, *self._forms(model)):
            if candidate in self._known:
                return candidate
        return None

    def _forms(self, model: str) -> Iterator[str]:
        dated = _DATED.match(model)
        if dated is not None:
            base, date = dated["base"], _day(dated)
            # The same day in another spelling first, then the undated id; never another day.
            yield from (listed for day, listed in self._dates_of(base) if day == date)
            yield base
            yield base + _LATEST
        elif model.endswith(_LATEST):
            base = model.removesuffix(_LATEST)
            yield from (listed for _, listed in self._dates_of(base))
            yield base
        else:
            yield model + _LATEST
            yield from (listed for _, listed in self._dates_of(model))

    def _dates_of(self, base: str) -> list[tuple[str, str]]:
        """Return the dated ids of a base, newest first, with their day as YYYYMMDD."""
        found = [
            (_day(dated), listed)
            for listed in self._starting_with(base)
            if (dated := _DATED.match(listed)) is not None and dated["base"] == base
        ]
        return sorted(found, reverse=True)

    def _starting_with(self, prefix: str) -> Iterator[str]:
        """Yield the ids that start so. A config may name thousands of models: none is scanned."""
        if self._sorted is None:
            self._sorted = sorted(self._known)
        for place in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[place].startswith(prefix):
                return
            yield self._sorted[place]


def _day(dated: re.Match[str]) -> str:
    return (dated["plain"] or dated["dashed"]).replace("-", "")
