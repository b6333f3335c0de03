"""Write ``config.toml.example``: every key that is supported, with defaults that are true.

The text is ``config.toml.template``. The built-in providers are filled in from their data files,
and nothing is written unless it validates without a warning against the packaged table, shows every
supported key of the format, and calls a default only what is one. ``--check`` says whether the file
is current.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import get_args

import msgspec

from gatewayctl.config.kinds import is_provider, kinds
from gatewayctl.config.load import load_text
from gatewayctl.config.positions import index
from gatewayctl.config.problems import Report
from gatewayctl.config.schema import Document
from gatewayctl.config.settings import TABLES
from gatewayctl.config.support import ANY, UNSUPPORTED
from gatewayctl.config.walk import bare, form_of, hints, options, read_struct
from gatewayctl.registry import snapshot
from gatewayctl.registry.checking import CheckedAgainst
from gatewayctl.registry.lookup import Registry

SOURCE = Path(__file__).with_name("config.toml.template")
TARGET = Path(__file__).resolve().parent.parent / "config.toml.example"
WAITING = {tuple(part for part in entry.key if part != ANY) for entry in UNSUPPORTED}
_COMMENTED = re.compile(r"^# (?=\w+ = )", re.MULTILINE)
DEFAULTS = ("server", "routing", "registry", "tokenizer", "model_defaults")

TEXT = Template(SOURCE.read_text(encoding="utf-8"))


def builtin() -> str:
    """Return the built-in providers as comments: name, key variable, where it is."""
    rows = [
        (name, " or ".join(kind.key_env) or "no key; needs a table", kind.base_url)
        for name, kind in sorted(kinds().items(), key=lambda item: item[1].local)
        if is_provider(kind)
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"#   {name:{widths[0]}}  {key:{widths[1]}}  {url}" for name, key, url in rows)


def faults(text: str) -> Iterator[str]:
    """Yield whatever is not true of the text."""
    catalog = CheckedAgainst(Registry(snapshot.load()))
    loaded = load_text(text, name=TARGET.name, environ={}, catalog=catalog)
    for problem in loaded.problems:
        yield f"line {problem.line}: {problem.message} [{problem.code}]"
    raw = tomllib.loads(text, parse_float=Decimal)
    document = read_struct(Document, raw, (), Report("", text, index(text)))
    shown, default = msgspec.structs.asdict(document), msgspec.structs.asdict(Document())
    for section in DEFAULTS:
        for key in raw[section]:
            said, usual = (getattr(side[section], key) for side in (shown, default))
            if (section, key) == ("registry", "sources"):
                usual = dict(TABLES)  # the file may name any provider's, so the format has none
            # None is "not said": what that means stands beside it in the settings
            if usual is not None and said != usual:
                yield f"{section}.{key} is shown as a default and is not one"
    whole = tomllib.loads(_COMMENTED.sub("", text), parse_float=Decimal)
    shown_keys = set(_shown(Document, whole))
    for struct, path in _supported(Document, ()):
        if (struct, path[-1]) not in shown_keys:
            yield f"{'.'.join(path)} is supported and not shown"


def _supported(
    struct: type[msgspec.Struct], path: tuple[str, ...]
) -> Iterator[tuple[type[msgspec.Struct], tuple[str, ...]]]:
    """Yield every key that can be set to something, with the table that it is in."""
    for name, annotation in hints(struct).items():
        here = (*path, name)
        if here in WAITING:
            continue
        yield struct, here
        if (inner := _table(annotation)) is not None:
            yield from _supported(inner, here)


def _shown(
    struct: type[msgspec.Struct], values: object
) -> Iterator[tuple[type[msgspec.Struct], str]]:
    """Yield every key that a text holds, with the table that it is in."""
    tables = values if isinstance(values, list) else [values]
    for table in tables:
        for name, annotation in hints(struct).items():
            if isinstance(table, Mapping) and name in table:
                yield struct, name
                inner = _table(annotation)
                named = bare(options(annotation)[0]) is dict
                if inner is not None:
                    yield from _shown(inner, [*table[name].values()] if named else table[name])


def _table(annotation: object) -> type[msgspec.Struct] | None:
    """Return the struct of a key that holds a table, or several; None where it may hold a value."""
    arms = options(annotation)
    if len(arms) > 1 or form_of(arms[0]) is not None:
        return None
    plain = bare(arms[0])
    if plain in {tuple, dict}:
        return _table(get_args(arms[0])[0 if plain is tuple else 1])
    return plain if issubclass(plain, msgspec.Struct) else None


def main() -> None:
    """Write the file, or with ``--check`` say whether it is current."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    check = parser.parse_args().check
    text = TEXT.substitute(builtin=builtin())
    if found := list(faults(text)):
        sys.exit("\n".join([f"{TARGET.name} would be wrong:", *found]))
    current = TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text
    if check and not current:
        sys.exit(f"out of date: {TARGET.name}; run: make generate")
    if not current:
        TARGET.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
