"""What is wrong with the references of a file: unknown names, cycles, windows nobody knows.

Warnings about what is merely unwise are ``lint``'s business.
"""

from collections.abc import Mapping, Sequence

from gatewayctl.config.kinds import kinds
from gatewayctl.config.names import Names, full_id, places_of, window_of
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report, did_you_mean
from gatewayctl.config.routes import Reference, documents, places, references
from gatewayctl.config.schema import Document
from gatewayctl.config.sizes import Sizes
from gatewayctl.core.routing.graph import Place, Route
from gatewayctl.core.routing.names import Aliased, ExactModel
from gatewayctl.core.routing.resolved import MAX_DEPTH

AUTO = "auto"
MOST_PLACES = 1000
"""To how many places a name may lead: every request looks at each of them."""
REGISTRY_CODES = frozenset({"unknown-name", "alloy-auto-window-unknown", "size-suffix-is-binary"})
"""Errors that a change of the registry alone can bring about; no reload fails because of them."""


def check_names(doc: Document, names: Names, report: Report) -> None:
    """Report every reference that means nothing."""
    own = [*names.graph.routes, *names.graph.aliases]
    for reference in references(doc):
        if names.find(reference.target) is None:
            _unknown(reference, doc, names, own, report)


def _unknown(
    reference: Reference, doc: Document, names: Names, own: Sequence[str], report: Report
) -> None:
    target = reference.target
    first, slash, _ = target.partition("/")
    if slash and first in doc.providers:
        # its table has problems of its own
        return
    if slash:
        near = did_you_mean(first, [*names.kind_of, *kinds()])
        hint = near or f"known providers: {', '.join(names.kind_of)}"
        message = f'"{target}": no provider is called "{first}"'
        report.error(reference.path, "unknown-provider", message, hint)
        return
    hint = suggestions = ""
    if report.few:
        hint = did_you_mean(target, own)
        suggestions = ", ".join(names.catalog.nearest(target))
    if not hint and suggestions:
        hint = f"near: {suggestions}"
    hint = hint or "declare it, or write PROVIDER/MODEL"
    message = f'"{target}" is no alias, no route, and no model that any source lists'
    report.error(reference.path, "unknown-name", message, hint)


def check_cycles(doc: Document, names: Names, report: Report) -> bool:
    """Report every cycle at the reference that closes it; tell whether depth is bearable."""
    edges: dict[str, list[Reference]] = {}
    for reference in references(doc):
        edges.setdefault(reference.owner, []).append(reference)
    depths: dict[str, int] = {}
    for start in edges:
        _visit(start, edges, names, depths, report)
    for name, depth in depths.items():
        if depth == MAX_DEPTH + 1 and name in edges:
            message = f"more than {MAX_DEPTH} names lead on from here, one to the next"
            report.error(edges[name][0].path, "nested-too-deeply", message, "use fewer")
    return all(depth <= MAX_DEPTH for depth in depths.values())


def _visit(
    start: str,
    edges: Mapping[str, Sequence[Reference]],
    names: Names,
    depths: dict[str, int],
    report: Report,
) -> None:
    """Walk depth first from one name, with a stack of its own: chains may be long."""
    trail = [start]
    pending = [iter(edges.get(start, ()))]
    deepest = [0]
    while pending:
        reference = next(pending[-1], None)
        if reference is None:
            pending.pop()
            depth = deepest.pop() + 1
            depths[trail.pop()] = depth
            if deepest:
                deepest[-1] = max(deepest[-1], depth)
            continue
        owner = _owner(reference.target, names)
        if owner is None:
            deepest[-1] = max(deepest[-1], 1)
        elif owner in depths:
            deepest[-1] = max(deepest[-1], depths[owner])
        elif owner in trail:
            loop = [*trail[trail.index(owner) :], owner]
            hint = "a name must lead to a model in the end"
            report.error(reference.path, "cycle", f"cycle: {' -> '.join(loop)}", hint)
        else:
            trail.append(owner)
            pending.append(iter(edges.get(owner, ())))
            deepest.append(0)


def _owner(target: str, names: Names) -> str | None:
    """Return whose references lead on from a target, None where it is a model or nothing.

    A target with a star is a name like any other, and may be one that a pattern matches.
    """
    match names.find(target):
        case Aliased(pattern=str(pattern)):
            return pattern
        case None | ExactModel():
            return None
        case _:
            return target


def check_breadth(names: Names, routes: Mapping[Path, Route], report: Report) -> None:
    """Report routes that lead to too many places, where no route inside them does already."""
    counts: dict[str, int] = {}
    for path, route in routes.items():
        count = _count(route, names, counts)
        inner = (names.end(place.model) for place in places_of(route))
        if count > MOST_PLACES and all(
            isinstance(each, ExactModel) or each is None or counts[each.id] <= MOST_PLACES
            for each in inner
        ):
            message = f"{route.id} leads to {count} places; {MOST_PLACES} at most are looked at"
            report.error((*path, "id"), "too-many-places", message, "name fewer routes in routes")


def _count(route: Route, names: Names, counts: dict[str, int]) -> int:
    """Return how many places a route leads to, each as often as it does."""
    if route.id not in counts:
        # until it is known, a cycle comes back to nothing
        counts[route.id] = 0
        ends = [names.end(place.model) for place in places_of(route)]
        counts[route.id] = sum(
            1 if isinstance(end, ExactModel) or end is None else _count(end, names, counts)
            for end in ends
        )
    return counts[route.id]


def check_windows(
    doc: Document, names: Names, sizes: Sizes, routes: Mapping[Path, Route], report: Report
) -> None:
    """Report members of alloys whose window nobody knows or a minimum forbids."""
    for number, alloy in enumerate(doc.alloys):
        path: Path = ("alloys", number)
        for index, place in enumerate(routes[path].places):
            where = (*path, "constituents", index, "context_window")
            ceiling = sizes.place(place, routes[path].policy).ceiling
            least = alloy.min_context_window
            if ceiling is None and names.end(place.model) is not None:
                hint = f"write the number of tokens that {place.model} holds"
                message = f"the registry has no context window of {place.model}"
                report.error(where, "alloy-auto-window-unknown", message, hint)
            elif ceiling and least and ceiling < least and not alloy.partial_context:
                _under_minimum(where, (place, ceiling, least), names, report)


def _under_minimum(
    where: Path, found: tuple[Place, int, int], names: Names, report: Report
) -> None:
    place, ceiling, least = found
    end = names.end(place.model)
    part = ""
    if isinstance(end, ExactModel):
        fraction = names.said(full_id(end)).settings.capacity_fraction
        part = f" (capacity_fraction = {fraction})" if fraction < 1 else ""
    report.error(
        where,
        "alloy-constituent-under-minimum",
        f"{place.model} holds {ceiling} tokens{part}, under min_context_window = {least}",
        f"lower min_context_window to {ceiling}, or replace this constituent by a model that "
        f"holds {least}, or set partial_context = true so that larger requests leave it out",
    )


def check_suffixes(doc: Document, names: Names, raw: Mapping[str, object], report: Report) -> None:
    """Report windows whose ``K`` or ``M`` means more tokens than the model holds."""
    for number, model in enumerate(doc.models):
        if model.id is not None:
            path: Path = ("models", number, "context_window")
            _check_suffix(path, model.context_window, model.id, names, raw, report)
    for path, route in documents(doc):
        for where, place in places(path, route):
            said = getattr(place, "context_window", None)
            end = names.end(place.model) if place.model else None
            if isinstance(end, ExactModel):
                here = (*where, "context_window")
                _check_suffix(here, said, full_id(end), names, raw, report)


def _check_suffix(
    path: Path,
    said: int | None,
    model: str,
    names: Names,
    raw: Mapping[str, object],
    report: Report,
) -> None:
    written = raw_at(raw, path)
    if not isinstance(written, str) or written == AUTO or said is None:
        return
    figure = int(written[:-1].replace("_", ""))
    base = 1000 if written.endswith("K") else 1000 * 1000
    known = window_of(names.listed(model))
    meant = known.value if known else _binary_meant(figure, base)
    if meant is None or said <= meant or figure != meant // base:
        return
    hint = f"write {meant}"
    if meant % 1024 == 0:
        hint += f' ({meant} is "{meant // 1024}K")'
    if known is None:
        message = f'"{written}" is {said} tokens: K is 1024'
        report.warn(path, "odd-size", message, hint)
        return
    message = f'"{written}" is {said} tokens; {known.source} says that {model} holds {meant}'
    report.error(path, "size-suffix-is-binary", message, hint)


def _binary_meant(figure: int, base: int) -> int | None:
    """Return the power of two that a decimal figure is short for: 262 for 262144."""
    sizes = (2**power for power in range(15, 25))
    return next((it for it in sizes if it // base == figure and it % base), None)


def raw_at(raw: object, path: Path) -> object:
    """Return the value as written at a path, None where there is none."""
    for step in path:
        match raw, step:
            case Mapping(), str():
                raw = raw.get(step)
            case list(), int() if step < len(raw):
                raw = raw[step]
            case _:
                return None
    return raw
