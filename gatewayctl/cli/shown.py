"""The config as ``config show`` prints it: as written or as resolved, and never with a secret."""

import os
from collections.abc import Container, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import msgspec
import typer

from gatewayctl.cli.offline import keyed
from gatewayctl.cli.problems import Format, show
from gatewayctl.config.catalog import Catalog
from gatewayctl.config.load import decode, default_settings, find_config, load, normal, parse, read
from gatewayctl.config.positions import Path as Steps
from gatewayctl.config.problems import Problem, Report, key_of
from gatewayctl.config.schema import Document
from gatewayctl.config.secrecy import all_masked, masked, told
from gatewayctl.config.walk import read_struct
from gatewayctl.core.errors import ConfigInvalid


def written_values(named: Path | None) -> dict[str, object]:
    """Return the file's own keys; a file that is not TOML raises ``ConfigInvalid``.

    Of a key that the format does not know nobody knows what it holds: its value is masked.
    """
    path = find_config(named, os.environ)
    if path is None:
        return {}
    data, _ = read(path)
    text = decode(data, str(path))
    values = text if isinstance(text, Problem) else parse(normal(text), str(path))
    if isinstance(values, Problem):
        raise ConfigInvalid(f"{values.place}: {values.message}")
    report = Report(str(path), "")
    read_struct(Document, values, (), report)
    unknown = {each.key for each in report.problems() if each.code == "unknown-key"}
    return _shown(_without(values, (), unknown))


def resolved_values(named: Path | None, catalog: Catalog) -> dict[str, object]:
    """Return what the file means, defaults included; a file with errors shows them and exits."""
    path = find_config(named, os.environ)
    if path is None:
        settings = default_settings(os.environ)
    else:
        loaded = load(path, environ=os.environ, catalog=catalog, keyed=keyed())
        if loaded.settings is None:
            show(loaded.problems, Format.TEXT, name=str(path))
            raise typer.Exit(1)
        settings = loaded.settings
    values = msgspec.to_builtins(
        settings, builtin_types=(Decimal,), enc_hook=_encode, order="deterministic"
    )
    return _shown(values)


def _without(value: object, path: Steps, unknown: Container[str]) -> object:
    """Return values with those of unknown keys masked."""
    match value:
        case Mapping():
            return {
                key: all_masked(item)
                if told(key_of((*path, key))) in unknown
                else _without(item, (*path, key), unknown)
                for key, item in value.items()
            }
        case list():
            return [_without(item, (*path, at), unknown) for at, item in enumerate(value)]
        case _:
            return value


def _shown(values: object) -> dict[str, object]:
    shown = _plain(masked(values))
    return shown if isinstance(shown, dict) else {}


def _plain(value: object) -> object:
    """Return values as TOML and JSON writers take them: decimals as floats, None left out."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Decimal():
            return float(value)
        case _:
            return value


def _encode(value: object) -> object:
    match value:
        case MappingProxyType():
            return dict(value)
        case msgspec.Raw():
            return msgspec.json.decode(value)
        case _:
            raise NotImplementedError(type(value).__name__)
