"""The config as ``config show`` prints it: as written or as resolved, and never with a secret."""

import os
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import msgspec
import typer

from gatewayctl.cli.offline import keyed
from gatewayctl.cli.problems import Format, show
from gatewayctl.config.catalog import Catalog
from gatewayctl.config.load import decode, default_settings, find_config, load, normal, parse, read
from gatewayctl.config.problems import Problem
from gatewayctl.config.secrecy import masked, plain
from gatewayctl.core.errors import ConfigInvalid


def written_values(named: Path | None, catalog: Catalog) -> dict[str, object]:
    """Return the file's own keys; a file that is not TOML raises ``ConfigInvalid``."""
    del catalog
    path = find_config(named, os.environ)
    if path is None:
        return {}
    data, _ = read(path)
    text = decode(data, str(path))
    values = text if isinstance(text, Problem) else parse(normal(text), str(path))
    if isinstance(values, Problem):
        raise ConfigInvalid(f"{values.place}: {values.message}")
    return _shown(values)


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


def _shown(values: object) -> dict[str, object]:
    shown = plain(masked(values))
    return shown if isinstance(shown, dict) else {}


def _encode(value: object) -> object:
    match value:
        case MappingProxyType():
            return dict(value)
        case msgspec.Raw():
            return msgspec.json.decode(value)
        case _:
            raise NotImplementedError(type(value).__name__)
