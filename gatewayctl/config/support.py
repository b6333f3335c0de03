"""The keys that are part of the file format and whose behaviour does not exist yet.

They are read and type-checked like all others; holding anything but its default, such a key is an
error instead of being ignored. This is the only list of them: a feature that lands deletes its
line.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report

ANY = "*"


class Unsupported(msgspec.Struct, frozen=True, kw_only=True):
    """A key by its path, where ``*`` is any name or index, and which of its values have to wait.

    ``whole``: all of them but the default do.
    """

    key: tuple[str, ...]
    when: Callable[[object], bool]
    whole: bool


def _is_not(default: object) -> Callable[[object], bool]:
    return lambda value: value != default


def _several(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 1


def _at(key: str, when: Callable[[object], bool]) -> Unsupported:
    return Unsupported(key=tuple(key.split(".")), when=when, whole=False)


def _whole(key: str, default: object) -> Unsupported:
    return Unsupported(key=tuple(key.split(".")), when=_is_not(default), whole=True)


UNSUPPORTED: tuple[Unsupported, ...] = (
    _whole("server.keys", ()),
    _whole("server.cors_origins", ()),
    _at("providers.*.api_key", _several),
    _whole("providers.*.max_concurrency", 0),
    _whole("dispatchers.*.rules.*.when.client", None),
)


def check_support(document: msgspec.Struct, report: Report) -> None:
    """Report every key whose behaviour is still to come."""
    for entry in UNSUPPORTED:
        for path, value in _values(document, entry.key, ()):
            if entry.when(value):
                key = ".".join(part for part in entry.key if part != ANY)
                message = f"{key} cannot be set to this: not yet supported"
                report.error(path, "not-yet-supported", message, "remove it, or keep its default")


def _values(value: object, key: tuple[str, ...], path: Path) -> Iterator[tuple[Path, object]]:
    """Yield every value that a key pattern names, with its path."""
    if not key:
        yield path, value
        return
    for name, item in _items(value):
        if key[0] in {ANY, name}:
            yield from _values(item, key[1:], (*path, name))


def _items(value: object) -> Iterator[tuple[str | int, object]]:
    match value:
        case msgspec.Struct():
            yield from ((name, getattr(value, name)) for name in value.__struct_fields__)
        case Mapping():
            yield from value.items()
        case tuple():
            yield from enumerate(value)
        case _:
            return
