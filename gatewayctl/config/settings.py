"""A valid config as the program uses it: values resolved, defaults applied, references checked.

``config.schema`` is how people write it, ``config.resolve`` makes this of that. Routing's part is
``core.routing.graph.RouteGraph``; what is here besides is for the daemon, the upstream client and
the registry.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from gatewayctl.config.hosts import without_login
from gatewayctl.config.levels import LogFormat, LogLevel
from gatewayctl.core.model import (
    ModelFacts,
    ModelSettings,
    Provider,
)
from gatewayctl.core.routing.graph import RouteGraph


class FromEnv(msgspec.Struct, frozen=True, kw_only=True, tag="env"):
    """A secret in an environment variable."""

    name: str


class FromFile(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A secret in a file, its white space stripped."""

    path: str


class FromCommand(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """A secret printed by a program, run without a shell."""

    argv: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FromCommand(argv=({self.argv[0]!r}, …))"


class Plain(msgspec.Struct, frozen=True, kw_only=True, tag="plain"):
    """A secret written in the config itself, which validation warns about."""

    value: str

    def __repr__(self) -> str:
        return "Plain(value='…')"


Secret = FromEnv | FromFile | FromCommand | Plain


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds per phase of an attempt; None is no limit."""

    connect: float = 5.0
    headers: float | None = None
    first_token: float | None = 120.0
    idle: float = 60.0
    total: float = 600.0


class TokenEncoding(StrEnum):
    """How a token request's body is written."""

    JSON = "json"
    FORM = "form"


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints and parameters of a provider's OAuth.

    ``authorize_url`` is needed to log in alone; ``extra`` are parameters of the authorization
    request besides those that the standard has.
    """

    token_url: str
    client_id: str
    authorize_url: str | None = None
    scopes: tuple[str, ...] = ()
    extra: Mapping[str, str] = {}
    encoding: TokenEncoding = TokenEncoding.JSON


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One provider: what routing sees (``provider``) and how it is reached.

    ``base_url`` has no trailing slash; ``headers`` are added, an empty value removes one;
    ``max_concurrency`` 0 is no limit; ``proxy`` is a URL, ``""`` none, None the environment's.
    ``oauth`` is how tokens are had with ``auth = "oauth"``, ``borrow`` the file in which another
    program keeps one fresh.
    """

    provider: Provider
    base_url: str
    secrets: tuple[Secret, ...] = ()
    oauth: OAuthSettings | None = None
    borrow: str | None = None
    clients: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    timeouts: Timeouts = Timeouts()
    max_concurrency: int = 0
    proxy: str | None = None
    ca_bundle: str | None = None
    flags: Mapping[str, bool] = {}

    def __repr__(self) -> str:
        return f"ProviderSettings(name={self.provider.name!r}, …)"


class ModelOverride(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of one model: facts (source "config"), use, and body edits.

    ``[model_defaults]`` is in it, under the model's own entry. ``set`` maps body fields to their
    JSON; ``timeouts`` overrides the provider's, phase by phase.
    """

    facts: ModelFacts
    settings: ModelSettings = ModelSettings()
    set: Mapping[str, msgspec.Raw] = {}
    drop: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = {}


class OverflowStatus(StrEnum):
    """Which status a refusal by size carries."""

    AUTO = "auto"
    S400 = "400"
    S413 = "413"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[server]``. ``body_limit`` is bytes."""

    host: str = "127.0.0.1"
    port: int = 8790
    keys: tuple[str, ...] = ()
    body_limit: int = 64 * 1024 * 1024
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    overflow_status: OverflowStatus = OverflowStatus.AUTO
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.TEXT


TABLES: Mapping[str, str] = MappingProxyType(
    {
        "litellm": (
            "https://raw.githubusercontent.com/BerriAI/litellm/main/"
            "model_prices_and_context_window.json"
        ),
        "models_dev": "https://models.dev/api.json",
    }
)
"""The public tables of models by name, and where each is unless the config says otherwise."""


def source_name(provider: str) -> str:
    """Return the registry's name for a provider's own listing: no table is called the same."""
    return f"{provider}-api" if provider in TABLES else provider


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One registry source; an empty ``url`` turns it off. ``ttl`` and ``timeout`` in seconds.

    ``provider`` is whose own listing it is, ``listing`` by which API it is asked and ``url`` its
    base URL; None is a public table.
    """

    url: str
    ttl: float
    timeout: float
    provider: str | None = None
    listing: str = ""

    @property
    def place(self) -> str:
        """Which place is asked, as it is kept and compared: the URL without a login."""
        return without_login(self.url)

    def __repr__(self) -> str:
        return f"SourceSettings(provider={self.provider!r}, …)"


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[registry]``. ``background`` is False for ``refresh = "manual"``.

    ``sources`` are the public tables, then every configured provider's own listing, by name (see
    ``source_name``).
    """

    background: bool = True
    sources: Mapping[str, SourceSettings] = {}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A whole valid config.

    ``providers`` holds every provider that is configured: those with a table, and each built-in
    kind whose key variable is set (local kinds only with a table). ``models`` is by full id;
    ``model_defaults`` is what a model without an entry of its own gets (``model`` finds either),
    ``defaults`` its part that routing reads; ``path`` None is "no file".
    """

    path: str | None = None
    server: ServerSettings = ServerSettings()
    session_ttl: float = 3600.0
    registry: RegistrySettings = RegistrySettings()
    model_defaults: ModelOverride = ModelOverride(facts=ModelFacts(id="", provider=""))
    providers: Mapping[str, ProviderSettings] = {}
    models: Mapping[str, ModelOverride] = {}
    graph: RouteGraph = RouteGraph()

    @property
    def defaults(self) -> ModelSettings:
        """How a model without an entry of its own is used."""
        return self.model_defaults.settings

    def model(self, full_id: str) -> ModelOverride:
        """Return what is said of a model; the facts of one without an entry name no model."""
        return self.models.get(full_id, self.model_defaults)
