"""Looking names up ahead of requests, once for as long as the world's answers stay the same.

What a name means is ``names``' business; here its whole tree is put together, with whatever a
judgement needs that no request changes: windows, ceilings, estimators, weights.
"""

from collections.abc import Iterator
from math import lcm
from typing import Final, TypeVar
from weakref import WeakKeyDictionary
from zlib import crc32

import msgspec

from gatewayctl.core import fit
from gatewayctl.core.estimate import tokenizer_name
from gatewayctl.core.model import EstimatorKind, EstimatorSettings, WireProtocol
from gatewayctl.core.routing.graph import Alloy, Dispatcher, Place, Policy, Route
from gatewayctl.core.routing.names import Aliased, ExactModel, resolve
from gatewayctl.core.routing.place import (
    AliasPlace,
    Ceilings,
    ModelPlace,
    Nested,
    Resolved,
    Root,
    RoutePlace,
    models,
)
from gatewayctl.core.routing.world import Request, World

Number = TypeVar("Number", int, float)

MAX_DEPTH = 32
"""How deep names may refer to one another; a valid config has no cycles, so this is never met."""

_BETAS: Final = "anthropic-beta"

MAX_REMEMBERED = 4096
"""How many names are remembered: clients may ask for any id at a configured provider."""


class _Memory:
    """What was looked up in one world, as of one version of it."""

    def __init__(self, version: object) -> None:
        self.version = version
        self.roots: dict[tuple[str, WireProtocol, frozenset[str]], Root] = {}
        self.estimators: dict[EstimatorSettings, EstimatorSettings] = {}


_MEMORIES: WeakKeyDictionary[World, _Memory] = WeakKeyDictionary()


def resolved(
    name: str, world: World, protocol: WireProtocol, betas: frozenset[str] = frozenset()
) -> Root | None:
    """Return what a name means to a client of this protocol, None when it means nothing.

    ``betas`` are those that its request carries, of the ones that unlock a larger window.
    """
    memory = _MEMORIES.get(world)
    if memory is None or memory.version is not world.version:
        memory = _MEMORIES[world] = _Memory(world.version)
    key = (name, protocol, betas)
    root = memory.roots.get(key)
    if root is None:
        root = _Resolver(world, protocol, betas, memory.estimators).root(name)
        if root is None:
            return None
        if len(memory.roots) >= MAX_REMEMBERED:
            del memory.roots[next(iter(memory.roots))]
        memory.roots[key] = root
    return root


def asked_for(name: str, request: Request, world: World) -> Root | None:
    """Return what a name means to the client of a request, None when it means nothing."""
    return resolved(name, world, request.shape.protocol, _betas(request, world))


def _betas(request: Request, world: World) -> frozenset[str]:
    """Return the betas that a request carries, of those that change a window."""
    if not world.betas or not (told := request.headers.get(_BETAS)):
        return frozenset()
    return world.betas.intersection(each.strip() for each in told.split(","))


class _Around(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at a place because of those around it: ``most`` caps windows, in tokens."""

    policy: Policy
    direct: bool
    most: int | None = None
    timeout: float | None = None
    estimator: EstimatorSettings | None = None
    nested: tuple[Nested, ...] = ()


class _Resolver:
    """Looks up one name with everything behind it."""

    def __init__(
        self,
        world: World,
        protocol: WireProtocol,
        betas: frozenset[str],
        estimators: dict[EstimatorSettings, EstimatorSettings],
    ) -> None:
        self._world = world
        self._protocol = protocol
        self._betas = betas
        self._estimators = estimators
        self._notes: dict[str, None] = {}

    def root(self, name: str) -> Root | None:
        """Return what a name means, None when it means nothing."""
        around = _Around(policy=self._world.graph.policy, direct=True)
        place = self._place(Place(model=name), around, 0)
        if place is None:
            return None
        led = place
        while isinstance(led, AliasPlace):
            led = led.child
        route = led if isinstance(led, RoutePlace) else None
        names = [model.model for model in models(place)]
        return Root(
            place=place,
            route=route,
            repeats=len(set(names)) < len(names),
            notes=tuple(self._notes),
        )

    def _place(self, place: Place, around: _Around, depth: int) -> Resolved | None:
        if depth > MAX_DEPTH:
            raise AssertionError("cycles are refused at load")
        named = resolve(place.model, self._world, self._protocol)
        match named:
            case None:
                return None
            case ExactModel():
                if named.note is not None:
                    self._notes[named.note] = None
                return self._model(named, place, around)
            case Aliased():
                inner = msgspec.structs.replace(place, model=named.target)
                child = self._place(inner, around, depth + 1)
                if child is None:
                    return None
                return AliasPlace(
                    id=place.model, target=named.target, pattern=named.pattern, child=child
                )
            case _:
                return self._route(named, place, around, depth)

    def _route(self, route: Route, place: Place, around: _Around, depth: int) -> RoutePlace:
        inside = _Around(
            policy=route.policy,
            direct=False,
            most=_least(place.context_window, around.most),
            timeout=_least(place.timeout, around.timeout),
            estimator=place.estimator or around.estimator,
            nested=() if around.direct else _deeper(around, route),
        )

        def under(each: Place) -> Resolved:
            return self._place(each, inside, depth + 1) or self._lost(each, inside)

        children = tuple(under(each) for each in route.places)
        rules: tuple[Resolved, ...] = ()
        weights: tuple[int, ...] = ()
        how = ""
        if isinstance(route, Dispatcher):
            rules = tuple(under(rule.target) for rule in route.rules)
            how = route.order.value
        elif isinstance(route, Alloy):
            weights = _integers(route)
            how = route.strategy.value
        return RoutePlace(
            route=route,
            kind=type(route).__name__.lower(),
            how=how,
            children=children,
            rules=rules,
            estimators=tuple(tuple(_distinct(rule)) for rule in rules),
            weights=weights,
            salt=crc32(route.id.encode()),
        )

    def _model(self, named: ExactModel, place: Place, around: _Around) -> ModelPlace:
        full_id = f"{named.provider}/{named.model}"
        facts = self._world.facts(named.provider, named.model)
        settings = self._world.settings(full_id)
        estimator = _estimator(place.estimator or around.estimator, settings.estimator, full_id)
        limits = fit.ceilings(
            facts,
            place.context_window,
            settings.capacity_fraction,
            most=around.most,
            betas=self._betas,
        )
        denied = frozenset(
            capability
            for capability, said in (facts.capabilities if facts else {}).items()
            if not said.value
        )
        return ModelPlace(
            model=full_id,
            provider=named.provider,
            upstream_model=named.model,
            at=self._world.provider(named.provider),
            policy=around.policy,
            direct=around.direct,
            # One object for equal settings, so that a request is sized once for all of them.
            estimator=self._estimators.setdefault(estimator, estimator),
            tokenizer=tokenizer_name(estimator),
            capacity_fraction=settings.capacity_fraction,
            limits=limits,
            ceiling=limits.input if limits.total is None else limits.total,
            most_output=facts.max_output_tokens.value
            if facts and facts.max_output_tokens
            else None,
            denied=denied,
            retires_at=None if facts is None else facts.retires_at,
            timeout=_least(place.timeout, around.timeout),
            nested=around.nested,
            facts=facts,
        )

    def _lost(self, place: Place, around: _Around) -> ModelPlace:
        """Return the place of a name that was known when the config was loaded and is no longer."""
        provider, _, model = place.model.partition("/")
        return ModelPlace(
            model=place.model,
            provider=provider,
            upstream_model=model,
            at=None,
            policy=around.policy,
            direct=False,
            estimator=EstimatorSettings(),
            tokenizer="",
            capacity_fraction=self._world.settings(place.model).capacity_fraction,
            limits=Ceilings(),
        )


def _deeper(around: _Around, route: Route) -> tuple[Nested, ...]:
    """Return the nested routes around a place inside one more; its places share the tuple."""
    above = around.nested[-1] if around.nested else Nested(path=(), policy=around.policy)
    theirs = {name: getattr(above.policy, name) for name in route.inherits}
    policy = msgspec.structs.replace(route.policy, **theirs)
    return (*around.nested, Nested(path=(*above.path, route.id), policy=policy))


def _estimator(
    own: EstimatorSettings | None, of_model: EstimatorSettings, model: str
) -> EstimatorSettings:
    """Return the settings of a place; what it leaves open about the tokenizer is the model's.

    A ratio of the user's own is the same for all models: nothing anchors or corrects it.
    """
    if own is not None and own.kind is EstimatorKind.CHAR_RATIO:
        return msgspec.structs.replace(own, vision=own.vision or of_model.vision)
    if own is None:
        own_ratio = of_model.kind is EstimatorKind.CHAR_RATIO
        return of_model if own_ratio else msgspec.structs.replace(of_model, model=model)
    counts = own.kind in {EstimatorKind.AUTO, EstimatorKind.TIKTOKEN}
    named = of_model.kind is not EstimatorKind.HUGGINGFACE  # whose vocabulary is a file
    follows = counts and named and own.vocabulary is None
    return msgspec.structs.replace(
        own,
        vocabulary=of_model.vocabulary if follows else own.vocabulary,
        vision=own.vision or of_model.vision,
        model=model,
        observed=of_model.observed,
    )


def _distinct(place: Resolved) -> Iterator[EstimatorSettings]:
    """Yield the estimators of the leaves of a rule's target, each once."""
    seen: set[int] = set()
    for model in models(place):
        if model.at is not None and id(model.estimator) not in seen:
            seen.add(id(model.estimator))
            yield model.estimator


def _integers(alloy: Alloy) -> tuple[int, ...]:
    """Return the weights as integers in the same proportion."""
    ratios = [place.weight.as_integer_ratio() for place in alloy.places]
    common = lcm(*(below for _, below in ratios))
    return tuple(over * (common // below) for over, below in ratios)


def _least(one: Number | None, other: Number | None) -> Number | None:
    return min((each for each in (one, other) if each is not None), default=None)
