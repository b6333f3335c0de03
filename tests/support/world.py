"""A small world for routing tests: providers, models and routes as plain values."""

import difflib
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from gatewayctl.core.errors import ErrorKind
from gatewayctl.core.model import (
    Auth,
    Capability,
    EstimatorSettings,
    ModelFacts,
    ModelSettings,
    Overflow,
    Provider,
    Sourced,
    WireProtocol,
)
from gatewayctl.core.routing.decision import Decision, Estimate, Method
from gatewayctl.core.routing.graph import Place, Route, RouteGraph
from gatewayctl.core.routing.plan import plan
from gatewayctl.core.routing.session import Session
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import Demand, RequestShape

ALL = tuple(WireProtocol)


def model(
    full_id: str,
    window: int | None = None,
    *,
    most_input: int | None = None,
    most_output: int | None = None,
    lacks: Sequence[Capability] = (),
    retires_at: str | None = None,
    prices: tuple[str, str] | None = None,
) -> ModelFacts:
    """Return facts of one model, all said by ``test``; ``prices`` are of input and output."""

    def said(value: int | None) -> Sourced[int] | None:
        return None if value is None else Sourced(value=value, source="test")

    return ModelFacts(
        id=full_id,
        provider=full_id.partition("/")[0],
        context_window=said(window),
        max_input_tokens=said(most_input),
        max_output_tokens=said(most_output),
        prices={
            name: Sourced(value=Decimal(value), source="test")
            for name, value in zip(("input", "output"), prices or (), strict=False)
        },
        capabilities={each: Sourced(value=False, source="test") for each in lacks},
        retires_at=None if retires_at is None else Sourced(value=retires_at, source="test"),
    )


def provider(
    name: str,
    *,
    protocols: Sequence[WireProtocol] = ALL,
    overflow: Overflow = Overflow.ERROR,
    auth: Auth = Auth.NONE,
) -> Provider:
    """Return a provider that needs no key."""
    return Provider(
        name=name,
        kind="openai-compatible",
        protocols=tuple(protocols),
        auth=auth,
        overflow=overflow,
        key_hint=f"set {name.upper()}_API_KEY",
    )


class FakeWorld:
    """``core.routing.world.World`` over values; ``keyless`` providers have no credential."""

    def __init__(
        self,
        models: Sequence[ModelFacts],
        routes: Sequence[Route] = (),
        *,
        graph: RouteGraph | None = None,
        providers: Sequence[Provider] = (),
        keyless: Sequence[str] = (),
        settings: dict[str, ModelSettings] | None = None,
    ) -> None:
        self._models = {each.id: each for each in models}
        named = {each.provider: provider(each.provider) for each in models}
        self._providers = named | {each.name: each for each in providers}
        self._keyless = keyless
        self._settings = settings or {}
        base = graph or RouteGraph()
        self._graph = msgspec.structs.replace(base, routes={each.id: each for each in routes})

    @property
    def graph(self) -> RouteGraph:
        """Aliases and routes."""
        return self._graph

    @property
    def version(self) -> object:
        """Return what never changes."""
        return self._graph

    @property
    def betas(self) -> frozenset[str]:
        """Return what unlocks a larger window of any model."""
        return frozenset(each.beta for facts in self._models.values() for each in facts.unlocked)

    def provider(self, name: str) -> Provider | None:
        """Return a provider."""
        return self._providers.get(name)

    def providers(self) -> Sequence[str]:
        """Return all names."""
        return tuple(self._providers)

    def has_key(self, provider: str) -> bool:
        """Tell whether it is not keyless."""
        return provider not in self._keyless

    def facts(self, provider: str, model: str) -> ModelFacts | None:
        """Return a model's facts."""
        return self._models.get(f"{provider}/{model}")

    def settings(self, full_id: str) -> ModelSettings:
        """Return a model's settings."""
        return self._settings.get(full_id, ModelSettings())

    def listed_by(self, model: str) -> Sequence[str]:
        """Return the providers that list this id."""
        return tuple(name for name in self._providers if f"{name}/{model}" in self._models)

    def declared(self) -> Sequence[str]:
        """Return all models."""
        return tuple(self._models)

    def nearest(self, name: str) -> Sequence[str]:
        """Return near names."""
        return difflib.get_close_matches(name, [*self._graph.routes, *self._models])

    def absent(self, name: str) -> str | None:
        """Return what to do about ``absent/…``."""
        return "absent is not configured" if name.startswith("absent/") else None


def places(*names: str) -> tuple[Place, ...]:
    """Return plain places."""
    return tuple(Place(model=name) for name in names)


def shape(
    *,
    output: int | None = None,
    needs: Sequence[Capability] = (),
    protocol: WireProtocol = WireProtocol.CHAT_COMPLETIONS,
    thinking: int = 0,
    stream: bool = False,
    demands: Sequence[Demand] = (),
) -> RequestShape:
    """Return a request's shape; its size comes from the estimator."""
    return RequestShape(
        protocol=protocol,
        model="any",
        stream=stream,
        body_bytes=100,
        output_budget=output,
        needs=frozenset(needs),
        thinking_budget=thinking,
        demands=frozenset(demands),
    )


class Sized:
    """An estimator with fixed figures: ``Sized(100)`` is exact, ``Sized(80, 100, 120)`` is not."""

    def __init__(self, low: int, likely: int | None = None, high: int | None = None) -> None:
        likely = low if likely is None else likely
        self._estimate = Estimate(
            low=low,
            likely=likely,
            high=likely if high is None else high,
            method=Method.RATIO,
        )

    def __call__(self, settings: EstimatorSettings) -> Estimate:
        """Return the figures, whatever the settings."""
        _ = settings
        return self._estimate


def decide(
    name: str,
    world: FakeWorld,
    size: Sized | int = 100,
    *,
    asked: RequestShape | None = None,
    seed: int = 0,
    counters: dict[str, int] | None = None,
    today: str = "2026-01-01",
    at: float | None = None,
    session: Session | None = None,
    headers: Mapping[str, str] | None = None,
    client: str | None = None,
) -> Decision:
    """Plan one request of a given size."""
    request = Request(
        shape=asked or shape(),
        seed=seed,
        counters=counters or {},
        today=today,
        at=at,
        headers=headers or {},
        client=client,
        session=session,
    )
    return plan(name, request, world, Sized(size) if isinstance(size, int) else size)


def attempted(decision: Decision) -> list[str]:
    """Return the attempted models in order."""
    return [candidate.model for candidate in decision.attempts]


def skipped(decision: Decision) -> dict[str, str]:
    """Return the skipped models with their reasons."""
    return {each.model: each.reason.value for each in decision.skipped}


def refused(decision: Decision) -> ErrorKind:
    """Return the kind of the refusal, which must be there."""
    assert decision.error is not None
    assert not decision.attempts
    return decision.error.kind
