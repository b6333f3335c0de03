"""The fit proof: which requests have no home in a route, or only seem to have one. Warnings.

Every figure is ``sizes``', and so ``core.fit``'s: what is warned of here is what routing would
refuse.
"""

from collections.abc import Iterator, Mapping, Sequence

from gatewayctl.config.names import Names, full_id, window_of
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.routes import documents, places
from gatewayctl.config.schema import Document
from gatewayctl.config.schema_routes import DispatcherDoc, RouteDoc
from gatewayctl.config.sizes import Sizes, Span
from gatewayctl.core.errors import FailureKind
from gatewayctl.core.model import Overflow
from gatewayctl.core.routing.graph import (
    Alloy,
    Cascade,
    Dispatcher,
    Order,
    Policy,
    Reevaluate,
    Route,
)
from gatewayctl.core.routing.names import ExactModel

GAP = 16
"""From how many times its size on the next larger target is a gap."""


def prove(
    doc: Document, names: Names, sizes: Sizes, routes: Mapping[Path, Route], report: Report
) -> None:
    """Warn of sizes that have no home. Names must not be nested too deeply."""
    _models(doc, names, sizes, report)
    _least_output(doc, names, sizes, report)
    for path, written in documents(doc):
        route = routes[path]
        spans = [sizes.place(place, route.policy) for place in route.places]
        for (where, place), span in zip(places(path, written), spans, strict=True):
            at = where if isinstance(route, Dispatcher) else (*where, "model")
            if place.model and isinstance(names.end(place.model), ExactModel):
                _homeless(at, place.model, span, route.policy, report)
        match route:
            case Alloy():
                _minimum(path, route, spans, report)
            case Cascade():
                _shrinking(path, route, spans, names, report)
            case Dispatcher():
                _gaps(path, route, spans, report)
                _assumed(path, route, spans, report)
                _unordered(path, route, spans, names, report)
    _promises(doc, names, sizes, report)


def _models(doc: Document, names: Names, sizes: Sizes, report: Report) -> None:
    """Warn of entries whose figures contradict each other, or leave room for no request."""
    for number, entry in enumerate(doc.models):
        window = entry.context_window
        for key in ("max_input_tokens", "max_output_tokens"):
            limit: int | None = getattr(entry, key)
            if limit and window and limit > window:
                message = f"{limit} tokens are more than the context_window of {window}"
                hint = "context_window is input and output together"
                report.warn(("models", number, key), "limit-over-window", message, hint)
        if entry.id and isinstance(names.find(entry.id), ExactModel):
            at: Path = ("models", number, "capacity_fraction")
            _homeless(at, entry.id, sizes.name(entry.id), names.graph.policy, report)


def _homeless(at: Path, model: str, span: Span, policy: Policy, report: Report) -> None:
    """Warn of a model that no request fits."""
    if span.room is None or span.room > 0:
        return
    if span.ceiling is None:
        message = f"nobody knows the window of {model}, and strict_unknown refuses it then"
        hint = f'give it one: [[models]] id = "{model}", context_window = …'
    else:
        message = (
            f"no request fits {model}: {span.output} tokens of output "
            f"and any input exceed its ceiling of {span.ceiling}"
        )
        hint = "raise capacity_fraction or the window"
        if policy.default_output_tokens <= span.output:
            hint += ", or lower default_output_tokens"
    report.warn(at, "never-fits", message, hint)


def _least_output(doc: Document, names: Names, sizes: Sizes, report: Report) -> None:
    """Warn of a least output that some model can never leave room for."""
    least = doc.routing.min_output
    if least == Policy().min_output:
        return
    mentioned = (model for path, route in documents(doc) for model in _models_of(route, path))
    for model in dict.fromkeys([*mentioned, *(it.id for it in doc.models if it.id)]):
        ceiling = sizes.name(model).ceiling
        if isinstance(names.end(model), ExactModel) and ceiling is not None and least >= ceiling:
            message = f"{model} holds {ceiling} tokens in all: {least} of output leave no input"
            hint = "a request for more output than fits is never cut down to fit there; lower it"
            report.warn(("routing", "min_output"), "min-output-over-window", message, hint)
            return


def _models_of(route: RouteDoc, path: Path) -> Iterator[str]:
    yield from (place.model for _, place in places(path, route) if place.model)


def _minimum(path: Path, alloy: Alloy, spans: Sequence[Span], report: Report) -> None:
    least = alloy.min_context_window
    output = max((span.output for span in spans), default=0)
    if least is not None and least <= output:
        message = f"no request fits: {output} tokens of output alone are not below {least}"
        report.warn((*path, "min_context_window"), "never-fits", message, "raise it")


def _shrinking(
    path: Path, cascade: Cascade, spans: Sequence[Span], names: Names, report: Report
) -> None:
    """Warn where a request that overflows one step has no larger step to go on to."""
    if FailureKind.CONTEXT_OVERFLOW not in cascade.policy.fallback_on:
        return
    for number, (place, span) in enumerate(zip(cascade.places, spans, strict=True)):
        later = [each.ceiling for each in spans[number + 1 :]]
        known = [size for size in later if size is not None]
        overflows = any(
            names.overflow(model.provider) is Overflow.ERROR for model in names.leaves(place.model)
        )
        if not later or len(known) < len(later) or span.ceiling is None or not overflows:
            continue
        if max(known) < span.ceiling:
            message = (
                f"{place.model} holds {span.ceiling} tokens and every later step less "
                f"({max(known)} at most): what overflows here has nowhere to go"
            )
            at = (*path, "steps", number, "model")
            hint = "put a larger model after it, or the smaller ones before it"
            report.warn(at, "cascade-shrinks", message, hint)
            return


def _gaps(path: Path, route: Dispatcher, spans: Sequence[Span], report: Report) -> None:
    """Warn where a request just too large for one target goes on to a very much larger one."""
    sized = [
        (span.ceiling, span.smallest, number)
        for number, span in enumerate(spans)
        if span.ceiling is not None and span.smallest is not None
    ]
    if route.order is not Order.DECLARED:
        sized.sort()
    held = 0
    for ceiling, smallest, number in sized:
        larger = smallest if smallest > held else ceiling
        if held and larger > held * GAP:
            message = (
                f"{route.places[number].model} holds {larger} tokens, {larger // held} times the "
                f"next smaller target ({held}): what just misses that one goes here"
            )
            hint = "add a target of a size between the two"
            report.warn((*path, "targets", number), "size-gap", message, hint)
        held = max(held, ceiling)


def _assumed(path: Path, route: Dispatcher, spans: Sequence[Span], report: Report) -> None:
    """Warn of a worst case that no target holds, and of keys that the mode does not look at."""
    assumed = route.assume_session_max_tokens
    at: Path = (*path, "assume_session_max_tokens")
    if assumed and route.reevaluate is not Reevaluate.WORST_CASE:
        message = f'reevaluate = "{route.reevaluate}" does not look at it'
        report.warn(at, "key-not-used", message, 'remove it, or reevaluate = "worst_case"')
    elif assumed and all(span.room is not None and span.room < assumed for span in spans):
        room = max((span.room for span in spans if span.room is not None), default=0)
        message = f"no target holds a session of {assumed} tokens: {max(room, 0)} at most"
        report.warn(at, "assumed-size-too-large", message, "lower it, or add a larger target")
    if (
        route.max_escalations != DispatcherDoc().max_escalations
        and route.reevaluate is not Reevaluate.STICKY_ESCALATE
    ):
        message = f'reevaluate = "{route.reevaluate}" does not look at it'
        hint = 'remove it, or reevaluate = "sticky_escalate"'
        report.warn((*path, "max_escalations"), "key-not-used", message, hint)


def _unordered(
    path: Path, route: Dispatcher, spans: Sequence[Span], names: Names, report: Report
) -> None:
    """Warn of an order for which nothing is known of any target."""
    if len(route.places) < 2:  # noqa: PLR2004 - one target needs no order
        return
    unknown = ""
    if route.order is Order.SMALLEST and all(span.ceiling is None for span in spans):
        unknown = "window"
    elif route.order is Order.CHEAPEST and not any(
        names.facts(full_id(model)).prices
        for place in route.places
        for model in names.leaves(place.model)
    ):
        unknown = "price"
    if unknown:
        message = f'no target has a known {unknown}, so that "{route.order}" is "declared"'
        hint = "say it in [[models]]"
        report.warn((*path, "order"), "order-without-facts", message, hint)


def _promises(doc: Document, names: Names, sizes: Sizes, report: Report) -> None:
    """Warn where clients know a name as that of a larger model than what answers to it here."""
    named: list[tuple[Path, str]] = [(("aliases", name), name) for name in doc.aliases]
    named += [((*path, "id"), route.id) for path, route in documents(doc) if route.id]
    for path, name in named:
        listing = names.catalog.listed_by(name)
        if not listing:
            continue
        windows = [
            it for kind in listing if (it := window_of(names.catalog.facts(f"{kind}/{name}")))
        ]
        known = min(windows, key=lambda window: window.value, default=None)
        ceiling = sizes.name(name).ceiling
        if known is not None and ceiling is not None and ceiling < known.value:
            message = (
                f"clients know {name} as a model of {known.value} tokens ({known.source}); "
                f"here it holds {ceiling}, and larger requests are refused"
            )
            hint = "lead it to something as large, or tell the clients the smaller window"
            report.warn(path, "name-promises-more", message, hint)
