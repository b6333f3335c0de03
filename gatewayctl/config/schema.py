"""The file as people write it: the document, and the tables that there is one of.

The structs' annotations are the file format: ``walk`` reads by them, ``jsonschema`` prints them.
Every key has a default, so that reading never stops; None means "not said". Providers and models
are in ``schema_providers``, routes in ``schema_routes``.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from gatewayctl.config.figures import Duration, Number, Size, Whole
from gatewayctl.config.forms import Host, HostHeader, KeyHash, Status, Text, Url
from gatewayctl.config.levels import LogFormat, LogLevel
from gatewayctl.config.schema_providers import (
    Id,
    ModelDoc,
    ModelKeys,
    Name,
    ProviderDoc,
)
from gatewayctl.config.schema_routes import AlloyDoc, CascadeDoc, DispatcherDoc
from gatewayctl.config.settings import OverflowStatus, ServerSettings
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.graph import FitMode, OnBreak, Policy

_SERVER = ServerSettings()
_POLICY = Policy()
_ESTIMATOR = EstimatorSettings()


class ServerDoc(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon's address and limits."""

    host: Annotated[str, Host()] = _SERVER.host
    port: Annotated[int, Whole(least=0, most=65535, code="port-out-of-range")] = _SERVER.port
    keys: tuple[Annotated[str, KeyHash()], ...] = _SERVER.keys
    body_limit: Annotated[int, Size(least=1)] = _SERVER.body_limit
    allowed_hosts: tuple[Annotated[str, HostHeader()], ...] = _SERVER.allowed_hosts
    cors_origins: tuple[Annotated[str, Text()], ...] = _SERVER.cors_origins
    overflow_status: Annotated[OverflowStatus, Status()] = _SERVER.overflow_status
    default_output_tokens: Annotated[int, Size(least=1)] = _POLICY.default_output_tokens
    log_level: LogLevel = _SERVER.log_level
    log_format: LogFormat = _SERVER.log_format


class RoutingDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How requests are tried; every route may override part of it."""

    fit: FitMode = _POLICY.fit
    strict_unknown: bool = _POLICY.strict_unknown
    min_output: Annotated[int, Size(least=1)] = _POLICY.min_output
    on_break: OnBreak = _POLICY.on_break
    fallback_on: tuple[FailureKind, ...] | None = None
    deadline: Annotated[float, Duration()] = _POLICY.deadline
    session_ttl: Annotated[float, Duration()] = 3600.0


class Refresh(StrEnum):
    """Who fetches the registry's sources."""

    BACKGROUND = "background"
    MANUAL = "manual"


class SourceDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One source of the registry, said in full: a table, or a provider's own listing."""

    url: Annotated[str, Url(empty=True)] | None = None
    ttl: Annotated[float, Duration()] | None = None
    timeout: Annotated[float, Duration()] | None = None


SourceKey = Annotated[str, Url(empty=True)] | SourceDoc


class RegistryDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How the tables of models are kept fresh."""

    refresh: Refresh = Refresh.BACKGROUND
    ttl: Annotated[float, Duration()] = 86400.0
    timeout: Annotated[float, Duration()] = 30.0
    sources: dict[str, SourceKey] = {}


class TokenizerDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are estimated where nothing nearer says otherwise."""

    kind: EstimatorKind = _ESTIMATOR.kind
    tokenizer_file: Name | None = None
    chars_per_token: Annotated[Decimal, Number(code="ratio-not-positive", above=Decimal(0))] = (
        _ESTIMATOR.chars_per_token
    )
    safety_margin: Annotated[Decimal, Number(code="margin-below-one", least=Decimal(1))] = (
        _ESTIMATOR.safety_margin
    )


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole config file."""

    server: ServerDoc = ServerDoc()
    routing: RoutingDoc = RoutingDoc()
    registry: RegistryDoc = RegistryDoc()
    tokenizer: TokenizerDoc = TokenizerDoc()
    model_defaults: ModelKeys = ModelKeys()
    providers: dict[str, ProviderDoc] = {}
    models: tuple[ModelDoc, ...] = ()
    aliases: dict[str, Id] = {}
    alloys: tuple[AlloyDoc, ...] = ()
    cascades: tuple[CascadeDoc, ...] = ()
    dispatchers: tuple[DispatcherDoc, ...] = ()
