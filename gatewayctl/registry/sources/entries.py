"""What the entries of all listings have in common: ids, objects in objects, dates, yes and no.

Nothing here raises over what an entry holds. Figures are checked in ``registry.claims``.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import msgspec

from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Capability
from gatewayctl.registry.claims import Claims, SourceTable

MOST_MODELS = 50_000
_LONGEST_ID = 512
_MOST_ALIASES = 64
_DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$")
_WORD = re.compile(r"^[a-z][a-z0-9_ -]{0,39}$")

Read = Callable[[Mapping[str, Any]], Claims | str]
"""How one entry is read: its claims, or the reason why it is left out."""


class Collected:
    """A provider's models as its pages come in, and what was left out of them.

    The first of several entries of one id counts.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._models: dict[str, Claims] = {}
        self._aliases: dict[str, str] = {}
        self._skipped: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Tell whether there was any entry yet."""
        return bool(self._models or self._skipped)

    def take(self, entries: object, read: Read, *, key: str = "id", prefix: str = "") -> None:
        """Read a list of entries whose ids stand under ``key``, without ``prefix``.

        SourceFailed when there is no list, or more in it than any provider has.
        """
        if not isinstance(entries, list):
            raise SourceFailed("it has no list of models")
        for entry in entries:
            if not isinstance(entry, dict):
                self._skipped["not an object"] += 1
                continue
            model = model_id(entry.get(key), prefix)
            if model is None:
                self._skipped["no model id"] += 1
            elif isinstance(found := read(entry), str):
                self._skipped[found] += 1
            else:
                self.add(model, found)

    def add(self, model: str, claims: Claims) -> None:
        """Keep one model's claims."""
        if model in self._models:
            self._skipped["duplicate"] += 1
            return
        if len(self._models) >= MOST_MODELS:
            raise SourceFailed(f"it lists more than {MOST_MODELS} models")
        self._models[model] = claims

    def alias(self, names: Iterable[object], model: object) -> None:
        """Note other names of a model; those that have entries of their own keep these."""
        known = [name for value in names if (name := model_id(value)) is not None]
        if isinstance(model, str):
            for name in known[:_MOST_ALIASES]:
                self._aliases.setdefault(name, model)

    def table(self) -> SourceTable:
        """Return all of it, the aliases with the claims of what they lead to."""
        named = {
            name: msgspec.structs.replace(self._models[model], alias_of=model)
            for name, model in self._aliases.items()
            if model in self._models and name not in self._models
        }
        models = {f"{self._provider}/{name}": said for name, said in (self._models | named).items()}
        return SourceTable(models=models, skipped=dict(self._skipped))


def model_id(value: object, prefix: str = "") -> str | None:
    """Return a model's id, None where nobody could ask for it."""
    if not isinstance(value, str):
        return None
    name = value.removeprefix(prefix)
    usable = 0 < len(name) <= _LONGEST_ID and name == name.strip() and name.isprintable()
    return name if usable else None


def inner(entry: object, *keys: str) -> Mapping[str, Any]:
    """Return an object inside an object, an empty one where there is none."""
    for key in keys:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}


def items(value: object) -> tuple[Any, ...]:
    """Return what a list holds, nothing where it is none."""
    return tuple(value) if isinstance(value, list) else ()


def day(value: object) -> str | None:
    """Return the date of a date or a time, YYYY-MM-DD; None where it is none."""
    found = _DAY.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]).isoformat()
    except ValueError:
        return None


def word(value: object) -> str | None:
    """Return a short lower-case word such as "deprecated", None where it is anything else."""
    return value if isinstance(value, str) and _WORD.match(value) else None


def flags(entry: Mapping[str, Any], names: Mapping[Capability, str]) -> dict[Capability, bool]:
    """Return the capabilities that booleans speak of, yes or no."""
    return {
        capability: entry[name]
        for capability, name in names.items()
        if isinstance(entry.get(name), bool)
    }


def named(listed: object, names: Mapping[Capability, str]) -> dict[Capability, bool]:
    """Return the capabilities that a list names; what it does not name stays unknown."""
    found = items(listed)
    return {capability: True for capability, name in names.items() if name in found}


def unnamed(listed: object, names: Mapping[Capability, str]) -> tuple[Capability, ...]:
    """Return what a list that is there, and meant to be complete, leaves out."""
    found = items(listed)
    return tuple(c for c, name in names.items() if found and name not in found)
