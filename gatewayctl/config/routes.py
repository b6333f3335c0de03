"""From aliases, alloys, cascades and dispatchers as written to the graph that routing reads.

Only what can be said of one entry by itself is checked here; what its references mean is
``references``' business.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from gatewayctl.config.forms import not_a_name
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.schema import Document, RoutingDoc, ServerDoc
from gatewayctl.config.schema_routes import (
    AlloyDoc,
    CascadeDoc,
    DispatcherDoc,
    PlaceDoc,
    RouteDoc,
    RuleDoc,
)
from gatewayctl.core.routing.graph import (
    ATTEMPTING,
    Alloy,
    Cascade,
    Dispatcher,
    Place,
    Policy,
    Reevaluate,
    Route,
    RouteGraph,
    Rule,
    When,
)

FEWEST_CONSTITUENTS = 2


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One name that refers to another: who says it, what it says, and where that stands."""

    owner: str
    target: str
    path: Path


def policy_of(routing: RoutingDoc, server: ServerDoc) -> Policy:
    """Return how requests are tried where a route does not say otherwise."""
    usual = Policy()
    return Policy(
        fit=routing.fit,
        strict_unknown=routing.strict_unknown,
        min_output=routing.min_output,
        default_output_tokens=server.default_output_tokens,
        on_break=routing.on_break,
        fallback_on=usual.fallback_on
        if routing.fallback_on is None
        else frozenset(routing.fallback_on),
        deadline=routing.deadline,
    )


def build_routes(doc: Document, report: Report) -> dict[Path, Route]:
    """Return the routes by where they stand; ids said twice and incomplete routes are reported."""
    _check_ids(doc, report)
    policy = policy_of(doc.routing, doc.server)
    return {path: _route(route, path, policy, report) for path, route in documents(doc)}


def _route(doc: RouteDoc, path: Path, policy: Policy, report: Report) -> Route:
    match doc:
        case AlloyDoc():
            return _alloy(doc, path, policy, report)
        case CascadeDoc():
            return _cascade(doc, path, policy, report)
        case DispatcherDoc():
            return _dispatcher(doc, path, policy, report)
        case _:
            raise AssertionError(doc)


def build_graph(doc: Document, routes: Iterable[Route]) -> RouteGraph:
    """Return aliases and routes as routing reads them."""
    patterns = [name for name in doc.aliases if "*" in name]
    return RouteGraph(
        aliases={name: target for name, target in doc.aliases.items() if "*" not in name},
        wildcards=tuple(
            (pattern, doc.aliases[pattern])
            for pattern in sorted(patterns, key=lambda pattern: (-len(pattern), pattern))
        ),
        routes={route.id: route for route in routes if route.id},
        policy=policy_of(doc.routing, doc.server),
    )


def documents(doc: Document) -> Iterator[tuple[Path, RouteDoc]]:
    """Yield every route as written, with its path."""
    groups: tuple[tuple[str, Sequence[RouteDoc]], ...] = (
        ("alloys", doc.alloys),
        ("cascades", doc.cascades),
        ("dispatchers", doc.dispatchers),
    )
    for group, routes in groups:
        for number, route in enumerate(routes):
            yield (group, number), route


def places(path: Path, doc: RouteDoc) -> Iterator[tuple[Path, PlaceDoc]]:
    """Yield the places of a route as written, each with its path; a target is a place."""
    match doc:
        case AlloyDoc():
            yield from (((*path, "constituents", n), it) for n, it in enumerate(doc.constituents))
        case CascadeDoc():
            yield from (((*path, "steps", n), it) for n, it in enumerate(doc.steps))
        case DispatcherDoc():
            for number, target in enumerate(doc.targets):
                yield (*path, "targets", number), PlaceDoc(model=target)
        case _:
            raise AssertionError(doc)


def references(doc: Document) -> Iterator[Reference]:
    """Yield every reference of the file, with the exact path of the name."""
    for name, target in doc.aliases.items():
        yield Reference(owner=name, target=target, path=("aliases", name))
    for path, route in documents(doc):
        for where, place in places(path, route):
            if place.model:
                at = where if isinstance(route, DispatcherDoc) else (*where, "model")
                yield Reference(owner=route.id or "", target=place.model, path=at)
        rules = route.rules if isinstance(route, DispatcherDoc) else ()
        for number, rule in enumerate(rules):
            if rule.target:
                at = (*path, "rules", number, "target")
                yield Reference(owner=route.id or "", target=rule.target, path=at)


def _check_ids(doc: Document, report: Report) -> None:
    taken = {}
    for name in doc.aliases:
        if why := not_a_name(name):
            hint = "remove what cannot be seen"
            report.unknown(("aliases", name), "name-out-of-form", why, hint)
        elif (same := _as_seen(name)) in taken:
            message = f'"{name}" looks like an alias before it: only its code points differ'
            report.unknown(("aliases", name), "duplicate-id", message, "keep one of them")
        else:
            taken[same] = "an alias"
    for path, route in documents(doc):
        if route.id is None:
            continue
        where = (*path, "id")
        if "*" in route.id:
            hint = "give an alias this pattern"
            report.error(where, "id-out-of-form", "an id has no *; only aliases are patterns", hint)
        elif (same := _as_seen(route.id)) in taken:
            message = f'"{route.id}" is already the name of {taken[same]}'
            report.error(where, "duplicate-id", message, "aliases and routes share one namespace")
        else:
            taken[same] = f"{path[0]}[{path[1]}]"


def _as_seen(name: str) -> str:
    """Return a name in the form in which equal looks are equal code points."""
    return unicodedata.normalize("NFC", name)


def _policy(usual: Policy, doc: RouteDoc) -> Policy:
    return msgspec.structs.replace(
        usual,
        fit=doc.fit or usual.fit,
        on_break=doc.on_break or usual.on_break,
        fallback_on=usual.fallback_on if doc.fallback_on is None else frozenset(doc.fallback_on),
        deadline=doc.deadline or usual.deadline,
    )


def _open(doc: RouteDoc) -> frozenset[str]:
    """Return what a route leaves to the one around it, where there is one."""
    return frozenset(name for name in ATTEMPTING if getattr(doc, name) is None)


def _alloy(doc: AlloyDoc, path: Path, policy: Policy, report: Report) -> Alloy:
    if len(doc.constituents) < FEWEST_CONSTITUENTS:
        found = len(doc.constituents)
        report.error(
            (*path, "constituents"),
            "alloy-too-few-constituents",
            f"an alloy blends at least {FEWEST_CONSTITUENTS} models, found {found}",
            "ask for a single model by its own id, or give it an alias",
        )
    return Alloy(
        id=doc.id or "",
        name=doc.name or "",
        places=tuple(
            msgspec.structs.replace(
                _place(it), context_window=it.context_window, weight=it.weight or Decimal(1)
            )
            for it in doc.constituents
        ),
        policy=_policy(policy, doc),
        inherits=_open(doc),
        strategy=doc.strategy,
        scope=doc.scope,
        min_context_window=doc.min_context_window,
        partial_context=doc.partial_context,
    )


def _cascade(doc: CascadeDoc, path: Path, policy: Policy, report: Report) -> Cascade:
    if not doc.steps:
        message = "a cascade needs at least one step"
        report.error((*path, "steps"), "cascade-without-steps", message, "add [[cascades.steps]]")
    return Cascade(
        id=doc.id or "",
        name=doc.name or "",
        places=tuple(
            msgspec.structs.replace(_place(it), context_window=it.context_window)
            for it in doc.steps
        ),
        policy=_policy(policy, doc),
        inherits=_open(doc),
    )


def _dispatcher(doc: DispatcherDoc, path: Path, policy: Policy, report: Report) -> Dispatcher:
    if not doc.targets:
        message = "a dispatcher needs at least one target"
        hint = 'write targets = ["PROVIDER/MODEL", …]'
        report.error((*path, "targets"), "dispatcher-without-targets", message, hint)
    if doc.reevaluate is Reevaluate.WORST_CASE and not doc.assume_session_max_tokens:
        report.error(
            (*path, "assume_session_max_tokens"),
            "worst-case-without-size",
            'reevaluate = "worst_case" needs assume_session_max_tokens',
            "write how many tokens a session grows to",
        )
    return Dispatcher(
        id=doc.id or "",
        name=doc.name or "",
        places=tuple(Place(model=target) for target in doc.targets),
        policy=_policy(policy, doc),
        inherits=_open(doc),
        order=doc.order,
        reevaluate=doc.reevaluate,
        max_escalations=doc.max_escalations,
        assume_session_max_tokens=doc.assume_session_max_tokens,
        rules=tuple(_rule(rule) for rule in doc.rules),
    )


def _place(doc: PlaceDoc) -> Place:
    return Place(model=doc.model or "", timeout=doc.timeout)


def _rule(doc: RuleDoc) -> Rule:
    said = msgspec.structs.asdict(doc.when)
    # names of headers have no case, and requests have theirs in lower case
    header = {name.lower(): pattern for name, pattern in doc.when.header.items()}
    when = When(**{**said, "header": header})
    return Rule(when=when, target=Place(model=doc.target or ""))
