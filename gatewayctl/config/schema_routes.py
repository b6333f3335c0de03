"""``[[alloys]]``, ``[[cascades]]`` and ``[[dispatchers]]`` as people write them."""

from decimal import Decimal
from typing import Annotated

import msgspec

from gatewayctl.config.figures import Duration, Number, Size, Whole
from gatewayctl.config.forms import Required, Text
from gatewayctl.config.schema_providers import Id, Margin, Name, Ratio
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import EstimatorKind, WireProtocol
from gatewayctl.core.routing.graph import (
    AlloyScope,
    AlloyStrategy,
    FitMode,
    OnBreak,
    Order,
    Reevaluate,
)

RouteId = Annotated[Id | None, Required("missing-id", "every route needs an id to be asked for")]
Reference = Annotated[
    Id | None, Required("missing-model", 'write model = "PROVIDER/MODEL", an alias or a route')
]
_WINDOW = Size(least=1, zero_code="zero-context-window", word="auto")


class PlaceTokenizer(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are estimated at one place, over what the model says."""

    kind: EstimatorKind | None = None
    tokenizer_file: Name | None = None
    chars_per_token: Ratio | None = None
    safety_margin: Margin | None = None


class PlaceDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A reference from a route to what answers."""

    model: Reference = None
    timeout: Annotated[float, Duration()] | None = None
    tokenizer: PlaceTokenizer | None = None


class ConstituentDoc(PlaceDoc, frozen=True, kw_only=True):
    """A member of an alloy; its window must be said."""

    context_window: Annotated[
        Annotated[int | None, Size(least=1, zero_code="alloy-zero-context-window", word="auto")],
        Required(
            "alloy-missing-context-window",
            'write a number of tokens, or "auto" for the registry\'s value',
        ),
    ] = None
    weight: (
        Annotated[Decimal, Number(code="alloy-weight-not-positive", above=Decimal(0))] | None
    ) = None


class StepDoc(PlaceDoc, frozen=True, kw_only=True):
    """A step of a cascade."""

    context_window: Annotated[int | None, _WINDOW] = None


class RouteDoc(msgspec.Struct, frozen=True, kw_only=True):
    """What every route can say, over ``[routing]``."""

    id: RouteId = None
    fit: FitMode | None = None
    on_break: OnBreak | None = None
    fallback_on: tuple[FailureKind, ...] | None = None
    deadline: Annotated[float, Duration()] | None = None


class AlloyDoc(RouteDoc, frozen=True, kw_only=True):
    """A blend of interchangeable models."""

    name: Annotated[Name | None, Required("alloy-missing-name", "say what people see")] = None
    strategy: AlloyStrategy = AlloyStrategy.WEIGHTED
    scope: AlloyScope = AlloyScope.TURN
    min_context_window: Annotated[int, Size(least=1, zero_code="alloy-zero-minimum")] | None = None
    partial_context: bool = False
    constituents: tuple[ConstituentDoc, ...] = ()


class CascadeDoc(RouteDoc, frozen=True, kw_only=True):
    """Ordered fallback."""

    name: Name | None = None
    steps: tuple[StepDoc, ...] = ()


class WhenDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions of a rule, all of which must hold."""

    max_input_tokens: Annotated[int, Size(least=1)] | None = None
    min_input_tokens: Annotated[int, Size()] | None = None
    tools: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    stream: bool | None = None
    reasoning: bool | None = None
    json_schema: bool | None = None
    protocol: WireProtocol | None = None
    client: Name | None = None
    header: dict[str, Annotated[str, Text()]] = {}


class RuleDoc(msgspec.Struct, frozen=True, kw_only=True):
    """An explicit rule of a dispatcher."""

    when: WhenDoc = WhenDoc()
    target: Annotated[Id | None, Required("missing-target", "say where the rule sends")] = None


class DispatcherDoc(RouteDoc, frozen=True, kw_only=True):
    """Choice by size and shape."""

    name: Name | None = None
    targets: tuple[Id, ...] = ()
    order: Order = Order.DECLARED
    reevaluate: Reevaluate = Reevaluate.PER_TURN
    max_escalations: Annotated[int, Whole(least=0, most=1000)] = 1
    assume_session_max_tokens: Annotated[int, Size()] = 0
    rules: tuple[RuleDoc, ...] = ()
