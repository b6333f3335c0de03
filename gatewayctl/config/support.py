"""The keys that are part of the file format and whose behaviour does not exist yet.

They are read and type-checked like all others; holding anything but its default, such a key is an
error instead of being ignored. This is the only list of them: a feature that lands deletes its
line.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.core.model import Auth, EstimatorKind, WireProtocol
from gatewayctl.core.routing.graph import AlloyScope, OnBreak, Order, Reevaluate

ANY = "*"
_COUNTERS = frozenset({EstimatorKind.TIKTOKEN, EstimatorKind.HUGGINGFACE})


class Unsupported(msgspec.Struct, frozen=True, kw_only=True):
    """A key by its path, where ``*`` is any name or index, and which of its values have to wait."""

    key: tuple[str, ...]
    when: Callable[[object], bool]


def _said(value: object) -> bool:
    return bool(value)


def _is(*waiting: object) -> Callable[[object], bool]:
    return lambda value: value in waiting


def _is_not(default: object) -> Callable[[object], bool]:
    return lambda value: value != default


def _counts(value: object) -> bool:
    return str(value).partition(":")[0] in _COUNTERS


def _several(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 1


def _speaks_gemini(value: object) -> bool:
    return isinstance(value, tuple) and WireProtocol.GEMINI in value


def _at(key: str, when: Callable[[object], bool]) -> Unsupported:
    return Unsupported(key=tuple(key.split(".")), when=when)


UNSUPPORTED: tuple[Unsupported, ...] = (
    _at("server.keys", _said),
    _at("server.cors_origins", _said),
    _at("routing.on_break", _is(OnBreak.BUFFER)),
    _at("routing.session_ttl", _is_not(3600.0)),
    _at("tokenizer.kind", _counts),
    _at("model_defaults.tokenizer", _counts),
    _at("model_defaults.context_window", _said),
    _at("model_defaults.max_input_tokens", _said),
    _at("model_defaults.max_output_tokens", _said),
    _at("model_defaults.prices.*", _is_not(None)),
    _at("model_defaults.capabilities.*", _is_not(None)),
    _at("model_defaults.set.*", _is_not(None)),
    _at("model_defaults.drop", _said),
    _at("model_defaults.timeouts.*", _is_not(None)),
    _at("providers.*.auth", _is(Auth.OAUTH)),
    _at("providers.*.api_key", _several),
    _at("providers.*.credential.borrow", _said),
    _at("providers.*.oauth", _is_not(None)),
    _at("providers.*.max_concurrency", _said),
    _at("providers.*.protocols", _speaks_gemini),
    _at("models.*.tokenizer", _counts),
    _at("alloys.*.on_break", _is(OnBreak.BUFFER)),
    _at("alloys.*.scope", _is(AlloyScope.SESSION)),
    _at("alloys.*.constituents.*.tokenizer.kind", _is(*_COUNTERS)),
    _at("cascades.*.on_break", _is(OnBreak.BUFFER)),
    _at("cascades.*.steps.*.tokenizer.kind", _is(*_COUNTERS)),
    _at("dispatchers.*.on_break", _is(OnBreak.BUFFER)),
    _at("dispatchers.*.order", _is(Order.CHEAPEST)),
    _at("dispatchers.*.reevaluate", _is_not(Reevaluate.PER_TURN)),
    _at("dispatchers.*.max_escalations", _is_not(1)),
    _at("dispatchers.*.assume_session_max_tokens", _said),
    _at("dispatchers.*.rules", _said),
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
