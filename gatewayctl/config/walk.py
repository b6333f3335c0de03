"""Reads a parsed TOML document entry by entry into the structs of ``schema``, and never stops.

Every problem goes to the report and the default takes the place of what was wrong, so that one
run finds them all. The structs' annotations are the whole description of the file format:
``jsonschema`` reads the same ones. References between entries are ``resolve``'s business.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from gatewayctl.config.forms import Form, Required, type_name, wrong_type
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report, Wrong, did_you_mean

T = TypeVar("T", bound=msgspec.Struct)


@cache
def hints(struct: type[msgspec.Struct]) -> Mapping[str, Any]:
    """Return a struct's annotations by key, as the file spells the keys."""
    return get_type_hints(struct, include_extras=True)


@cache
def form_of(annotation: Any) -> Form | None:
    """Return the form that an annotation carries, if any."""
    return next((item for item in metadata(annotation) if hasattr(item, "json_schema")), None)


def metadata(annotation: Any) -> tuple[Any, ...]:
    """Return what is annotated besides the type."""
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


@cache
def options(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, without None, or the annotation itself."""
    if get_origin(annotation) is Annotated and form_of(annotation) is None:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(arm for arm in get_args(annotation) if arm is not NoneType)
    return (annotation,)


def read_struct(struct: type[T], value: object, path: Path, report: Report) -> T:
    """Read a table into its struct; keys that are unknown, missing or wrong are reported."""
    if not isinstance(value, Mapping):
        header = f"write [{path[0]}]" if len(path) == 1 and isinstance(value, list) else ""
        wrong = wrong_type("a table", value, header)
        report.error(path, wrong.code, wrong.message, wrong.hint)
        return struct()
    known = hints(struct)
    for name in value.keys() - known.keys():
        hint = (did_you_mean(name, known) if report.few else "") or f"known: {', '.join(known)}"
        report.unknown((*path, name), "unknown-key", f'unknown key "{name}"', hint)
    found = {}
    for name, annotation in known.items():
        if name not in value:
            _missing(annotation, (*path, name), report)
            continue
        result = _read(annotation, value[name], (*path, name), report)
        if result is not _UNREAD:
            found[name] = result
    return struct(**found)


_UNREAD = object()
"""What takes the place of a value that was reported: the key keeps its default."""


def _missing(annotation: Any, path: Path, report: Report) -> None:
    for item in metadata(annotation):
        if isinstance(item, Required):
            report.error(path, item.code, f'missing key "{path[-1]}"', item.hint)


def _read(annotation: Any, value: object, path: Path, report: Report) -> Any:
    arms = options(annotation)
    fitting = (arm for arm in arms if len(arms) > 1 and _takes(arm, value))
    arm = next(fitting, arms[0])
    try:
        return _read_arm(arm, value, path, report)
    except Wrong as wrong:
        if wrong.code == "wrong-type" and len(arms) > 1:
            wanted = " or ".join(_wanted(arm) for arm in arms)
            wrong = wrong_type(wanted, value, wrong.hint)
        report.error(path, wrong.code, wrong.message, wrong.hint)
        return _UNREAD


def bare(arm: Any) -> Any:
    """Return the type behind an annotation, a generic's origin."""
    inner = get_args(arm)[0] if get_origin(arm) is Annotated else arm
    return get_origin(inner) or inner


def _takes(arm: Any, value: object) -> bool:
    """Tell whether a value's TOML type is one that this alternative of a union is for."""
    match value:
        case str():
            return issubclass(bare(arm), str)
        case list():
            return bare(arm) is tuple
        case Mapping():
            return bare(arm) is dict or issubclass(bare(arm), msgspec.Struct)
        case _:
            return isinstance(value, bare(arm))


def _wanted(arm: Any) -> str:
    plain = bare(arm)
    if plain is tuple:
        return "an array"
    if plain is dict or issubclass(plain, msgspec.Struct):
        return "a table"
    return "a string" if issubclass(plain, str) else type_name(plain())


def _read_arm(arm: Any, value: object, path: Path, report: Report) -> Any:
    plain = bare(arm)
    if (form := form_of(arm)) is not None:
        read = form.read(value)
    elif plain is tuple:
        read = _read_array(get_args(arm)[0], value, path, report)
    elif plain is dict:
        read = _read_mapping(arm, value, path, report)
    elif issubclass(plain, msgspec.Struct):
        read = read_struct(plain, value, path, report)
    elif issubclass(plain, StrEnum):
        read = _read_choice(plain, value)
    elif type(value) is plain:
        read = value
    else:
        raise wrong_type(_wanted(plain), value)
    return read


def _read_array(item: Any, value: object, path: Path, report: Report) -> tuple[Any, ...]:
    """Read an array; a string that is wrong leaves an empty one, so that indices stay true."""
    if not isinstance(value, list):
        raise wrong_type("an array", value, _header(path) if isinstance(value, Mapping) else "")
    read = [_read(item, entry, (*path, number), report) for number, entry in enumerate(value)]
    if bare(item) is str:
        return tuple("" if entry is _UNREAD else entry for entry in read)
    return tuple(entry for entry in read if entry is not _UNREAD)


def _header(path: Path) -> str:
    """Say how an entry of an array of tables begins."""
    return f"write [[{'.'.join(name for name in path if isinstance(name, str))}]]"


def _read_mapping(arm: Any, value: object, path: Path, report: Report) -> dict[str, Any]:
    """Read a table of any keys, or of those that the keys' form takes."""
    if not isinstance(value, Mapping):
        raise wrong_type("a table", value)
    key, item = get_args(arm)
    form, read = form_of(key), {}
    for name, entry in value.items():
        try:
            name_read = name if form is None else str(form.read(name))
        except Wrong as wrong:
            report.unknown((*path, name), wrong.code, wrong.message, wrong.hint)
        else:
            read[name_read] = _read(item, entry, (*path, name), report)
    return {name: entry for name, entry in read.items() if entry is not _UNREAD}


def _read_choice(choice: type[StrEnum], value: object) -> StrEnum:
    names = [member.value for member in choice]
    if not isinstance(value, str):
        raise wrong_type("a string", value, f"one of: {', '.join(names)}")
    if value not in names:
        hint = did_you_mean(value, names) or f"one of: {', '.join(names)}"
        raise Wrong("unknown-value", f'"{value}" is not one of: {", ".join(names)}', hint)
    return choice(value)
