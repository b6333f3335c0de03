"""``[providers.*]``, ``[[models]]`` and ``[model_defaults]`` as people write them."""

from decimal import Decimal
from typing import Annotated

import msgspec

from gatewayctl.config.figures import Duration, Number, Size, Whole
from gatewayctl.config.forms import Ident, Json, Required, Text, Tokenizer, Url, Variable
from gatewayctl.config.rates import Rate
from gatewayctl.config.settings import TokenEncoding
from gatewayctl.config.weekly import Weekly
from gatewayctl.core.hours import Hours
from gatewayctl.core.model import Auth, Overflow, WireProtocol
from gatewayctl.core.pricing import MOST_PRICE

Seconds = Annotated[float, Duration()]
Name = Annotated[str, Text()]
Id = Annotated[str, Ident()]
Ratio = Annotated[Decimal, Number(code="ratio-not-positive", above=Decimal(0))]
Margin = Annotated[Decimal, Number(code="margin-below-one", least=Decimal(1))]
Fraction = Annotated[
    Decimal, Number(code="fraction-out-of-range", above=Decimal(0), most=Decimal(1))
]
Price = Annotated[
    Decimal,
    Number(
        code="negative-price",
        least=Decimal(0),
        most=Decimal(MOST_PRICE),
        over="price-too-high",
        hint="prices are USD per million tokens",
    ),
]
Prices = dict[Annotated[str, Rate()], Price]
"""USD per million tokens, by rate key; what is not said is the registry's."""


class SecretDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Where a secret is: exactly one of the three."""

    env: Annotated[str, Variable()] | None = None
    file: Name | None = None
    command: tuple[Name, ...] | None = None


SecretKey = Name | SecretDoc


class BorrowDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that another program keeps fresh."""

    borrow: Name | None = None


class OAuthDoc(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints and parameters of a provider's OAuth."""

    authorize_url: Annotated[str, Url(exact=True)] | None = None
    token_url: Annotated[str, Url(exact=True)] | None = None
    client_id: Name | None = None
    scopes: tuple[Name, ...] = ()
    extra: dict[str, str] = {}
    encoding: TokenEncoding = TokenEncoding.JSON


class TimeoutsDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Limits per phase of an attempt."""

    connect: Seconds | None = None
    headers: Seconds | None = None
    first_token: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None


class FlagsDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of a provider."""

    strip_billing_attribution: bool | None = None
    max_completion_tokens: bool | None = None
    reasoning_content: bool | None = None
    reasoning_required: bool | None = None
    mistral_rules: bool | None = None


class ProviderDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream endpoint."""

    kind: Name | None = None
    base_url: Annotated[str, Url()] | None = None
    auth: Auth | None = None
    api_key: Name | SecretDoc | tuple[SecretKey, ...] | None = None
    clients: tuple[Name, ...] = ()
    credential: BorrowDoc | None = None
    oauth: OAuthDoc | None = None
    protocols: tuple[WireProtocol, ...] | None = None
    overflow: Overflow | None = None
    headers: dict[str, str] = {}
    timeouts: TimeoutsDoc = TimeoutsDoc()
    max_concurrency: Annotated[int, Whole(least=0, most=10**6)] = 0
    proxy: Annotated[str, Url(empty=True)] = ""
    ca_bundle: Name | None = None
    flags: FlagsDoc = FlagsDoc()


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can do; what is not said is unknown."""

    tools: bool | None = None
    parallel_tools: bool | None = None
    tool_choice: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    system_messages: bool | None = None
    prefill: bool | None = None


class ModelKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of one model, or in ``[model_defaults]`` of every model."""

    context_window: Annotated[int, Size()] | None = None
    max_input_tokens: Annotated[int, Size()] | None = None
    max_output_tokens: Annotated[int, Size()] | None = None
    capacity_fraction: Fraction | None = None
    tokenizer: Annotated[str, Tokenizer()] | None = None
    tokenizer_file: Name | None = None
    chars_per_token: Ratio | None = None
    safety_margin: Margin | None = None
    prices: Prices = {}
    off_peak_hours: tuple[Annotated[Hours, Weekly()], ...] = ()
    capabilities: Capabilities = Capabilities()
    set: dict[str, Annotated[msgspec.Raw, Json()]] = {}
    drop: tuple[Name, ...] | None = None
    timeouts: TimeoutsDoc = TimeoutsDoc()


class ModelDoc(ModelKeys, frozen=True, kw_only=True):
    """Facts and use of one model."""

    id: Annotated[Id | None, Required("missing-id", 'write id = "PROVIDER/MODEL"')] = None
