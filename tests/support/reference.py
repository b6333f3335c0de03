"""Plans evaluated by plain recursion over the graph, as the specification says it.

Written apart from the planner, to hold one against the other: nothing is looked up ahead, shared
or skipped here. Only the draw itself is the planner's; its chances have a test of their own.
"""

import math
from decimal import Decimal
from fractions import Fraction
from zlib import crc32

import msgspec
from support.world import FakeWorld

from gatewayctl.core.model import Capability, Overflow, Provider
from gatewayctl.core.routing.alloy import draw
from gatewayctl.core.routing.decision import Estimate
from gatewayctl.core.routing.graph import (
    Alloy,
    AlloyScope,
    AlloyStrategy,
    Cascade,
    Dispatcher,
    FitMode,
    Order,
    Place,
    Policy,
    Reevaluate,
    When,
)
from gatewayctl.core.routing.world import Request

SIZE = {"too_large", "unknown_window", "alloy_unfit", "pinned"}
RANK = ["safe", "unchecked", "grey", "unfit"]


class Seen(msgspec.Struct, kw_only=True):
    """A leaf (no ``kids``) or a route as judged; ``limits`` are a leaf's ceilings."""

    name: str
    fit: str
    why: str = ""
    ceiling: int | None = None
    high: int = 0
    likely: int = 0
    wanted: int = 0
    price: tuple[Decimal, Decimal] | None = None
    limits: tuple[int, ...] = ()
    kids: "list[Seen] | None" = None
    blend: bool = False
    held: bool = False

    def leaves(self) -> "list[Seen]":
        """Return the leaves in order."""
        if self.kids is None:
            return [self]
        return [leaf for kid in self.kids for leaf in kid.leaves()]

    @property
    def able(self) -> bool:
        """Whether something in it may be attempted."""
        return self.fit != "unfit"

    @property
    def small(self) -> bool:
        """Whether size has a part in its being unfit."""
        return not self.able and any(leaf.why in SIZE for leaf in self.leaves())


class Reference:
    """Evaluates one request."""

    def __init__(self, world: FakeWorld, request: Request, estimate: Estimate) -> None:
        self.world, self.request, self.estimate = world, request, estimate

    def result(self, name: str) -> tuple[list[str], dict[str, str]]:
        """Return the attempted models in order, and the skipped ones with their reasons."""
        tree = self.see(Place(model=name), self.world.graph.policy, direct=True, most=None)
        first: dict[str, Seen] = {}
        for leaf in tree.leaves():
            if leaf.name not in first or (leaf.able and not first[leaf.name].able):
                first[leaf.name] = leaf
        order = [leaf for leaf in _resolve(_items(tree)) if first[leaf.name] is leaf]
        skipped = {leaf.name: leaf.why for leaf in first.values() if not leaf.able}
        return [leaf.name for leaf in order], skipped

    def see(
        self, place: Place, policy: Policy, *, direct: bool, most: int | None, barred: bool = False
    ) -> Seen:
        """Judge one place; ``barred``: behind a rule that does not hold."""
        graph = self.world.graph
        if place.model in graph.aliases:
            inner = msgspec.structs.replace(place, model=graph.aliases[place.model])
            return self.see(inner, policy, direct=direct, most=most, barred=barred)
        route = graph.routes.get(place.model)
        if route is None:
            return self.leaf(place, policy, direct=direct, most=most, barred=barred)
        caps = [cap for cap in (place.context_window, most) if cap is not None]
        cap = min(caps, default=None)
        if isinstance(route, Dispatcher) and not barred:
            return self.dispatcher(route, cap)
        places = list(route.places)
        if isinstance(route, Dispatcher):
            places += [rule.target for rule in route.rules]
        kids = [self.see(it, route.policy, direct=False, most=cap, barred=barred) for it in places]
        if barred:
            return Seen(name=route.id, fit="unfit", kids=kids)
        if isinstance(route, Cascade):
            return Seen(name=route.id, fit=_best(kids), ceiling=_largest(kids), kids=kids)
        assert isinstance(route, Alloy)
        return self.alloy(route, kids)

    def leaf(
        self, place: Place, policy: Policy, *, direct: bool, most: int | None, barred: bool
    ) -> Seen:
        """Judge one model."""
        name, shape, world = place.model, self.request.shape, self.world
        provider = world.provider(name.partition("/")[0])
        facts = world.facts(*name.split("/", 1))
        assert provider is not None
        assert facts is not None
        denied = [need for need in shape.needs if need in facts.capabilities]
        for holds, why in (
            (not world.has_key(provider.name), "no_key"),
            (shape.protocol not in provider.protocols and bool(shape.demands), "protocol"),
            (bool(denied), "capability"),
            (barred, "rule_not_matched"),
        ):
            if holds:
                return Seen(name=name, fit="unfit", why=why)
        window = place.context_window
        if window is None and facts.context_window is not None:
            window = facts.context_window.value
        if most is not None:
            window = most if window is None else min(window, most)
        most_input = facts.max_input_tokens.value if facts.max_input_tokens else None
        most_output = facts.max_output_tokens.value if facts.max_output_tokens else None
        wanted = shape.output_budget
        if wanted is None:
            parts = [policy.default_output_tokens, most_output]
            parts.append(None if window is None else window // 4)
            wanted = min(part for part in parts if part is not None)
        elif not direct and most_output is not None:
            wanted = min(wanted, most_output)
        fit, why = self.fit(provider, policy, (window, most_input), wanted)
        price = None
        if {"input", "output"} <= facts.prices.keys():
            price = (facts.prices["input"].value, facts.prices["output"].value)
        return Seen(
            name=name,
            fit=fit,
            why=why,
            ceiling=most_input if window is None else window,
            high=self.estimate.high,
            likely=self.estimate.likely,
            wanted=wanted,
            price=price,
            limits=tuple(limit for limit in (window, most_input) if limit is not None),
        )

    def fit(
        self,
        provider: Provider,
        policy: Policy,
        limits: tuple[int | None, int | None],
        wanted: int,
    ) -> tuple[str, str]:
        """Return how a model fits, of whose window and input limit either may be unknown."""
        window, most_input = limits
        size, thinking = self.estimate, self.request.shape.thinking_budget

        def within(tokens: int, output: int) -> bool:
            total = window is None or tokens + output <= window
            return total and (most_input is None or tokens <= most_input)

        if policy.fit is FitMode.OFF:
            return "unchecked", ""
        if window is None and most_input is None:
            return ("unfit", "unknown_window") if policy.strict_unknown else ("unchecked", "")
        if within(size.high, wanted):
            return "safe", ""
        least = min(wanted, max(policy.min_output, thinking + 1))
        tried = policy.fit is FitMode.GUARD and provider.overflow is Overflow.ERROR
        return ("grey", "") if tried and within(size.low, least) else ("unfit", "too_large")

    def alloy(self, route: Alloy, kids: list[Seen]) -> Seen:
        """Blend; constituents that cannot answer stand last."""
        known = [kid.ceiling for kid in kids if kid.ceiling is not None]
        ceiling = (max if route.partial_context else min)(known, default=None)
        if route.min_context_window is not None:
            ceiling = min(route.min_context_window, ceiling or route.min_context_window)
        needs = [leaf.high + leaf.wanted for kid in kids for leaf in kid.leaves() if leaf.able]
        over = (
            route.min_context_window is not None
            and route.policy.fit is not FitMode.OFF
            and max(needs, default=0) > route.min_context_window
        )
        if over or (any(kid.small for kid in kids) and not route.partial_context):
            kids = [_condemned(kid, "alloy_unfit") for kid in kids]
        able = [index for index, kid in enumerate(kids) if kid.able]
        if not able:
            return Seen(name=route.id, fit="unfit", ceiling=ceiling, kids=kids, blend=True)
        if route.strategy is AlloyStrategy.ROUND_ROBIN:
            start = self.request.counters[route.id] % len(able)
            order = able[start:] + able[:start]
        else:
            ratios = [Fraction(place.weight) for place in route.places]
            unit = math.lcm(*(ratio.denominator for ratio in ratios))
            weights = tuple(int(ratio * unit) for ratio in ratios)
            order = draw(weights, able, self.request.seed ^ crc32(route.id.encode()))
        session, held = self.request.session, False
        pick = None if session is None else session.picks.get(route.id)
        if session is not None and pick is not None and route.scope is not AlloyScope.REQUEST:
            here = session.continues and pick.turn == session.turn
            names = [route.places[index].model for index in order]
            if (here or route.scope is AlloyScope.SESSION) and pick.child in names:
                order.insert(0, order.pop(names.index(pick.child)))
                held = True
        order += [index for index in range(len(kids)) if index not in able]
        fit = max((kids[index].fit for index in able), key=["safe", "unchecked", "grey"].index)
        kids = [kids[index] for index in order]
        return Seen(name=route.id, fit=fit, ceiling=ceiling, kids=kids, blend=True, held=held)

    def dispatcher(self, route: Dispatcher, cap: int | None) -> Seen:
        """Follow the rules, then the order, then what the session says."""

        def see(place: Place, *, barred: bool = False) -> Seen:
            return self.see(place, route.policy, direct=False, most=cap, barred=barred)

        session = self.request.session
        pick = None
        if session is not None and route.reevaluate is not Reevaluate.PER_TURN:
            pick = session.picks.get(route.id)
        targets = self.ordered(route.order, [(it.model, see(it)) for it in route.places])
        held, barred = [], []
        for rule in route.rules:
            name = rule.target.model
            if self.holds(rule.when):
                held.append((name, see(rule.target)))
            elif pick is not None and pick.child == name:
                targets.append((name, see(rule.target)))
            else:
                barred.append(see(rule.target, barred=True))
        lead = next(([it] for it in held if it[1].able), [])
        looked = lead + targets + [it for it in held if it not in lead]
        if route.reevaluate is Reevaluate.WORST_CASE:
            most = route.assume_session_max_tokens
            looked = [it for it in looked if _holds(it[1], most)] + [
                it for it in looked if not _holds(it[1], most)
            ]
        kids, ceiling, kept = [seen for _, seen in looked], _largest([s for _, s in looked]), False
        index = next((i for i, it in enumerate(looked) if pick and it[0] == pick.child), None)
        if index is not None and pick is not None and session is not None:
            kids, ceiling, kept = _in_session(
                route, kids, index, pick.escalations, session.inferred
            )
        return Seen(name=route.id, fit=_best(kids), ceiling=ceiling, kids=kids + barred, held=kept)

    def holds(self, when: When) -> bool:
        """Tell whether a rule holds; all leaves are of one size here."""
        shape, high = self.request.shape, self.estimate.high
        return (
            when.tools in {None, Capability.TOOLS in shape.needs}
            and when.stream in {None, shape.stream}
            and (when.max_input_tokens is None or high <= when.max_input_tokens)
            and (when.min_input_tokens is None or high >= when.min_input_tokens)
        )

    def ordered(self, order: Order, targets: list[tuple[str, Seen]]) -> list[tuple[str, Seen]]:
        """Order targets; those of unknown size last."""

        def key(target: tuple[str, Seen]) -> tuple[bool, bool, Decimal]:
            seen = target[1]
            unsized = seen.ceiling is None
            if order is Order.SMALLEST:
                return unsized, False, Decimal(seen.ceiling or 0)
            price = _price(seen) if order is Order.CHEAPEST else Decimal(0)
            return unsized, price is None, price or Decimal(0)

        return sorted(targets, key=key)


def _in_session(
    route: Dispatcher, kids: list[Seen], index: int, moved: int, inferred: bool
) -> tuple[list[Seen], int | None, bool]:
    """Return targets, ceiling and whether the first is kept, where the session picked one."""
    kept, ceiling = kids[index], _largest(kids)
    rest = kids[:index] + kids[index + 1 :]
    if kept.able:
        return [kept, *rest], ceiling, True
    if not kept.small or route.reevaluate is Reevaluate.WORST_CASE:
        return kids, ceiling, False
    larger: list[Seen] = []
    if route.reevaluate is Reevaluate.STICKY_ESCALATE and moved < route.max_escalations:
        floor = kept.ceiling
        larger = [it for it in rest if None not in {floor, it.ceiling}]
        larger = [it for it in larger if (it.ceiling or 0) > (floor or 0)]
    able = [it for it in larger if it.fit in {"safe", "unchecked"}]
    grey = sorted((it for it in larger if it.fit == "grey"), key=lambda it: -(it.ceiling or 0))
    if able or grey:
        head = (able + grey)[0]
        return [head, *(it for it in kids if it is not head)], ceiling, True
    if inferred:
        return kids, ceiling, False
    open_to_it = [kept, *larger]
    pinned = [
        it if any(it is one for one in open_to_it) else _condemned(it, "pinned", whole=True)
        for it in rest
    ]
    return [kept, *pinned], _largest(open_to_it), False


def _condemned(seen: Seen, why: str, *, whole: bool = False) -> Seen:
    if seen.kids is not None:
        kids = [_condemned(kid, why, whole=whole) for kid in seen.kids]
        return Seen(name=seen.name, fit="unfit", ceiling=seen.ceiling, kids=kids, blend=seen.blend)
    return msgspec.structs.replace(seen, fit="unfit", why=why) if seen.able or whole else seen


def _best(kids: list[Seen]) -> str:
    return min((kid.fit for kid in kids), key=RANK.index)


def _largest(kids: list[Seen]) -> int | None:
    return max((kid.ceiling for kid in kids if kid.ceiling is not None), default=None)


def _price(seen: Seen) -> Decimal | None:
    if seen.kids is None:
        if not seen.able or seen.price is None:
            return None
        return seen.price[0] * seen.likely + seen.price[1] * seen.wanted
    prices = [_price(kid) for kid in seen.kids if kid.able]
    if not seen.blend:
        return prices[0] if prices else None
    known = [price for price in prices if price is not None]
    return max(known) if known and len(known) == len(prices) else None


def _holds(seen: Seen, tokens: int) -> bool:
    if seen.kids is None:
        return bool(seen.limits) and min(seen.limits) >= tokens
    able = [_holds(kid, tokens) for kid in seen.kids if kid.able]
    return bool(able) and (all(able) if seen.blend else any(able))


Item = tuple[str, int, Seen]


def _items(seen: Seen, block: int = 0) -> list[Item]:
    """Return what may be attempted in plan order: as "safe", or as "grey" with its block."""
    if seen.kids is None:
        if not seen.able:
            return []
        return [("grey", block or id(seen), seen) if seen.fit == "grey" else ("safe", 0, seen)]
    block = block or (id(seen) if seen.blend else 0)
    items: list[Item] = []
    for index, kid in enumerate(seen.kids):
        if index == 0 and seen.held:
            items += [("safe", 0, leaf) for leaf in _resolve(_items(kid))]
        else:
            items += _items(kid, block)
    return items


def _resolve(items: list[Item]) -> list[Seen]:
    """Return grey ones after the others, block by block, the largest ceiling first."""
    blocks: dict[int, list[Seen]] = {}
    for kind, block, leaf in items:
        if kind == "grey":
            blocks.setdefault(block, []).append(leaf)
    ordered = sorted(blocks.values(), key=lambda it: -max(leaf.ceiling or 0 for leaf in it))
    return [leaf for kind, _, leaf in items if kind == "safe"] + [
        leaf for block in ordered for leaf in block
    ]
