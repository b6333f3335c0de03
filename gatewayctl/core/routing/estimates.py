"""What ``estimate`` answers: how large a request is at each model, and whether it fits there.

Sized by anchor or ratio, then exactly where the count could change the answer; like ``staged`` a
generator, so that the daemon and the CLI size by the same steps. Also the answer as JSON-ready
values, whose field names are a contract (``schema_version`` 1).
"""

from collections.abc import Generator, Iterable, Sequence

import msgspec

from gatewayctl.core.estimate import breakdown, tokenizer_name
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.decision import Fit, Method
from gatewayctl.core.routing.render import SCHEMA_VERSION, Json
from gatewayctl.core.routing.sizing import SizedModel, sized
from gatewayctl.core.routing.staged import (
    Answer,
    Count,
    Measure,
    Recall,
    Sizes,
    Step,
    anchorable,
    as_anchored,
    as_counted,
    as_measured,
)
from gatewayctl.core.routing.world import Context, Request, World
from gatewayctl.core.shape import Segment


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """Every model behind the names asked for, once, and the sizes by which it was judged.

    ``unknown`` are names that mean nothing. ``missing`` are vocabularies whose count was wanted
    and could not be had.
    """

    models: tuple[SizedModel, ...]
    sizes: Sizes
    unknown: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()

    @property
    def fits(self) -> bool:
        """Whether the request fits at least one of the models."""
        return any(each.fit is not Fit.UNFIT for each in self.models)


def estimates(
    names: Sequence[str], request: Request, world: World, *, exact: bool = False
) -> Generator[Step, Answer, Estimates]:
    """Size a request for each of ``names``; ``exact`` counts wherever there is a vocabulary."""
    measured = yield Measure()
    sizes = Sizes(shape=request.shape, measured=as_measured(measured), exact=exact)
    found = _sized(names, request, world, sizes)
    models = anchorable(each.sized.estimator for each in found.models)
    anchored = as_anchored((yield Recall(models=models))) if models else {}
    if anchored:
        sizes = msgspec.structs.replace(sizes, anchored=anchored)
        found = _sized(names, request, world, sizes)
    wanted = frozenset(
        vocabulary
        for each in found.models
        if (vocabulary := _countable(each.sized.estimator)) is not None and (exact or _counts(each))
    )
    if not wanted:
        return found
    counted = as_counted((yield Count(vocabularies=wanted)))
    finer = msgspec.structs.replace(sizes, counted=counted)
    found = _sized(names, request, world, finer)
    return msgspec.structs.replace(found, missing=wanted - counted.keys())


def uncounted(found: Estimates) -> list[str]:
    """Return the models without an exact count."""
    return [each.model for each in found.models if each.sized.estimate.method is not Method.EXACT]


def rendered_estimates(dialect: str, found: Estimates) -> Json:
    """Return the whole answer."""
    return {
        "schema_version": SCHEMA_VERSION,
        "protocol": dialect,
        "estimates": [_rendered(each, found.sizes) for each in found.models],
    }


def _rendered(each: SizedModel, sizes: Sizes) -> Json:
    figures = each.sized
    return {
        "model": each.model,
        "method": figures.estimate.method.value,
        "tokenizer": tokenizer(each),
        "low": figures.estimate.low,
        "likely": figures.estimate.likely,
        "high": figures.estimate.high,
        "output_budget": figures.output.wanted,
        "context_window": figures.limits.window,
        "ceiling": figures.ceiling,
        "capacity_fraction": figures.capacity_fraction,
        "safety_margin": figures.estimator.safety_margin,
        "fits": each.fit is not Fit.UNFIT,
        "fit": each.fit.value,
        "shortfall": figures.verdict.shortfall,
        "breakdown": parts(each, sizes),
    }


def tokenizer(each: SizedModel) -> str:
    """Name what the input was counted by."""
    settings = each.sized.estimator
    if each.sized.estimate.method is Method.EXACT and settings.kind is EstimatorKind.AUTO:
        return f"{EstimatorKind.TIKTOKEN}:{settings.vocabulary}"
    return tokenizer_name(settings)


def parts(each: SizedModel, sizes: Sizes) -> dict[str, int]:
    """Return the likely tokens by part of the request, by the same method as the estimate."""
    if sizes.measured is None:
        return {}
    settings = each.sized.estimator
    likely = breakdown(sizes.shape, sizes.measured, settings)
    counted = sizes.counted.get(settings.vocabulary or "")
    if each.sized.estimate.method is not Method.EXACT or counted is None:
        learned = each.sized.estimate.method is Method.ANCHOR or settings.observed is not None
        return _in_proportion(likely, each.sized.estimate.likely) if learned else likely
    exact = {segment.value: counted.tokens.get(segment, 0) for segment in Segment}
    return {**likely, **exact, "overhead": counted.overhead}


def _in_proportion(parts: dict[str, int], total: int) -> dict[str, int]:
    """Return parts of another total: what was learned is about the request as a whole."""
    usual = max(1, sum(parts.values()))
    found = {name: part * total // usual for name, part in parts.items()}
    found["overhead"] += total - sum(found.values())
    return found


def _counts(each: SizedModel) -> bool:
    """Tell whether a count may change what is said of a model."""
    anchored = each.sized.estimate.method is Method.ANCHOR
    return each.fit in {Fit.GREY, Fit.UNFIT} and not anchored


def _countable(settings: EstimatorSettings) -> str | None:
    return None if settings.kind is EstimatorKind.CHAR_RATIO else settings.vocabulary


def _sized(names: Iterable[str], request: Request, world: World, sizes: Sizes) -> Estimates:
    context = Context(request=request, world=world, estimator=sizes.estimator())
    found: dict[str, SizedModel] = {}
    unknown = []
    for name in names:
        models = sized(name, context)
        if not models:
            unknown.append(name)
        for each in models:
            known = found.get(each.model)
            if known is None or (known.fit is Fit.UNFIT and each.fit is not Fit.UNFIT):
                found[each.model] = each
    return Estimates(models=tuple(found.values()), sizes=sizes, unknown=tuple(unknown))
