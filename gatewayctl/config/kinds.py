"""The built-in kinds of providers: their facts, read from ``builtin/*.toml``.

A new provider is one such file. What a user says of a provider is ``config.schema``'s business,
and how a table of models is asked about a provider (``Tables``) is the registry's.
"""

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from types import MappingProxyType

import msgspec

from gatewayctl.config.families import Families, Family
from gatewayctl.config.settings import Timeouts
from gatewayctl.core.model import Overflow, WireProtocol


class AuthHeader(StrEnum):
    """How a provider wants its key: ``Authorization: Bearer KEY`` or ``x-api-key: KEY``."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"


class Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's names in the public tables; None or empty where it is not in one."""

    models_dev: str | None = None
    litellm: tuple[str, ...] = ()


class BetaWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``[[beta_windows]]`` table: what a request that names a beta may have, in tokens.

    ``models`` are ``*`` patterns of bare ids; ``without`` is the window of all other requests.
    """

    models: tuple[str, ...]
    beta: str
    window: int
    without: int

    def holds_for(self, model: str) -> bool:
        """Tell whether a bare model id, as the provider calls it, is one of these."""
        return any(fnmatchcase(model, glob) for glob in self.models)


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``probe`` table: where a provider tells what a key has left, when it is asked.

    ``path`` follows the base URL, or its root, without the version, where ``root`` says so;
    ``form`` names how the answer is read, a key of ``upstream.probes.FORMS``.
    """

    form: str
    path: str
    root: bool = False


class Billing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ``billing`` table: how a provider's prices are meant where tables have no words for it.

    ``cached_share`` is what of the price of input is asked for input from the cache, where no price
    of its own is stated; ``steps_from_limit``: above 200,000 tokens means from 200,000 on.
    """

    cached_share: Decimal | None = None
    steps_from_limit: bool = False


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of every provider of one kind.

    ``base_url`` stands before ``/chat/completions``, ``/responses``, ``/messages`` and ``/models``,
    without a trailing slash; it is empty where only the user knows it. ``prefixes`` are what
    stands between it and the paths of a protocol (``addresses``). ``key_env`` names the variables
    that may hold the key, the usual one first; none for servers that ask for no key. ``adds_v1``:
    a base URL without ``/v1`` gets it. ``default_headers`` are sent where a request lacks them.
    ``listing`` names the API that lists its models, a key of ``registry.sources.LISTINGS``;
    ``assumed_window`` is what its models are taken to hold, in tokens, until the server says what
    it serves; 0 assumes nothing. ``output_apart``: its windows are of the input alone, and the
    output stands beside them. ``load`` is the path below the server's root where a POST of the
    model's name alone loads it. ``counts`` are the protocols in which it counts a request's
    tokens without answering it. ``own_clients`` are user-agent globs, each with one star at its
    end: the clients whose subscriptions it takes as credentials, for their own traffic alone.
    ``probe`` is where it tells what a key has left, None where it does not; ``billing`` how prices
    that tables state of it are meant.
    """

    name: str
    base_url: str
    key_env: tuple[str, ...]
    protocols: tuple[WireProtocol, ...]
    auth_header: AuthHeader
    overflow: Overflow
    local: bool
    adds_v1: bool
    prefixes: Mapping[WireProtocol, str]
    timeouts: Timeouts
    default_headers: Mapping[str, str]
    flags: Mapping[str, bool]
    tables: Tables
    families: Families
    listing: str
    assumed_window: int
    output_apart: bool
    beta_windows: tuple[BetaWindow, ...]
    load: str
    counts: tuple[WireProtocol, ...]
    own_clients: tuple[str, ...]
    probe: Probe | None
    billing: Billing


class _KindFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind's file; ``timeouts`` are seconds, where 0 is no limit to the first token."""

    protocols: tuple[WireProtocol, ...]
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    auth_header: AuthHeader = AuthHeader.BEARER
    overflow: Overflow = Overflow.ERROR
    local: bool = False
    adds_v1: bool = False
    prefixes: dict[WireProtocol, str] = {}
    timeouts: Timeouts = Timeouts()
    default_headers: dict[str, str] = {}
    flags: dict[str, bool] = {}
    tables: Tables = Tables()
    families: tuple[Family, ...] = ()
    listing: str = ""
    assumed_window: int = 0
    output_apart: bool = False
    beta_windows: tuple[BetaWindow, ...] = ()
    load: str = ""
    counts: tuple[WireProtocol, ...] = ()
    own_clients: tuple[str, ...] = ()
    probe: Probe | None = None
    billing: Billing = Billing()


DEFAULT_FLAGS: Mapping[str, bool] = MappingProxyType(
    {
        "strip_billing_attribution": True,
        "max_completion_tokens": False,
        "reasoning_content": True,
        "reasoning_required": False,
        "mistral_rules": False,
    }
)
"""Every flag there is, with its value where a kind does not say otherwise.

``max_completion_tokens``: the provider wants the output budget of a chat request under that newer
name; ``max_tokens``, which all other servers know, is refused by some of its models.
"""


def _read(name: str, text: str) -> Kind:
    file = msgspec.convert(tomllib.loads(text), _KindFile)
    timeouts = file.timeouts
    if not timeouts.first_token:
        timeouts = msgspec.structs.replace(timeouts, first_token=None)
    return Kind(
        name=name,
        base_url=file.base_url,
        key_env=file.key_env,
        protocols=file.protocols,
        auth_header=file.auth_header,
        overflow=file.overflow,
        local=file.local,
        adds_v1=file.adds_v1,
        prefixes=MappingProxyType(file.prefixes),
        timeouts=timeouts,
        default_headers=MappingProxyType(file.default_headers),
        flags=MappingProxyType({**DEFAULT_FLAGS, **file.flags}),
        tables=file.tables,
        families=Families(file.families),
        listing=file.listing,
        assumed_window=file.assumed_window,
        output_apart=file.output_apart,
        beta_windows=file.beta_windows,
        load=file.load,
        counts=file.counts,
        own_clients=file.own_clients,
        probe=file.probe,
        billing=file.billing,
    )


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every built-in kind by name, in alphabetical order. Reads the package once."""
    folder = resources.files("gatewayctl.config") / "builtin"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return MappingProxyType(
        {
            name.removesuffix(".toml"): _read(
                name.removesuffix(".toml"), (folder / name).read_text(encoding="utf-8")
            )
            for name in found
        }
    )


def is_provider(kind: Kind) -> bool:
    """Tell whether a kind is also a provider of its own name (the -compatible ones are not)."""
    return bool(kind.base_url)


def table_name(provider: str, kind: str) -> str:
    """Return the name under which tables of models know a provider: its kind's, else its own."""
    return kind if kind in kinds() and is_provider(kinds()[kind]) else provider
