"""The keys that are part of the file format and whose behaviour does not exist yet.

They are read and type-checked like all others; holding anything but its default, such a key is an
error instead of being ignored. This is the only list of them: a feature that lands deletes its
line.
"""

from collections.abc import Iterator, Mapping

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report

ANY = "*"


class Unsupported(msgspec.Struct, frozen=True, kw_only=True):
    """A key by its path, where ``*`` is any name or index, and the only value that it may have."""

    key: tuple[str, ...]
    default: object


def _waiting(key: str, default: object) -> Unsupported:
    return Unsupported(key=tuple(key.split(".")), default=default)


UNSUPPORTED: tuple[Unsupported, ...] = (
    _waiting("server.cors_origins", ()),
    _waiting("providers.*.max_concurrency", 0),
)


def check_support(document: msgspec.Struct, report: Report) -> None:
    """Report every key whose behaviour is still to come."""
    for entry in UNSUPPORTED:
        for path, value in _values(document, entry.key, ()):
            if value != entry.default:
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
