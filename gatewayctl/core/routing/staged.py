"""Planning as finely as the decision needs: by bound, then by ratio, then exactly.

A generator that asks for what costs time (measuring the text, counting it with a vocabulary) and
is sent the answer, so that the daemon, which has a counting process, and the CLI, which counts by
itself, decide by the same steps. Nothing here measures or counts.
"""

from collections.abc import Generator, Mapping

import msgspec

from gatewayctl.core.estimate import Counted, by_bound, by_count, by_ratio
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.decision import Decision, Estimate, Fit
from gatewayctl.core.routing.plan import finished, settled, sketch
from gatewayctl.core.routing.tree import SIZE_REASONS
from gatewayctl.core.routing.world import Estimator, Request, World
from gatewayctl.core.shape import Measured, RequestShape


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the request's ``Measured``."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for exact counts by vocabulary; one that cannot be had is left out of the answer."""

    vocabularies: frozenset[str]


Step = Measure | Count
Answer = Measured | Mapping[str, Counted]
Staged = Generator[Step, Answer, "Sized"]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request's size: ``measured`` None is its length alone."""

    shape: RequestShape
    measured: Measured | None = None
    counted: Mapping[str, Counted] = {}

    def estimator(self) -> Estimator:
        """Return what planning asks: the finest estimate that is known."""
        shape, measured = self.shape, self.measured
        if measured is None:
            by_length = by_bound(shape)
            return lambda _: by_length

        def estimate(settings: EstimatorSettings) -> Estimate:
            counted = self.counted.get(settings.vocabulary or "")
            if counted is None or settings.kind is EstimatorKind.CHAR_RATIO:
                return by_ratio(shape, measured, settings)
            return by_count(shape, measured, counted, settings)

        return estimate


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and the sizes by which it was made.

    ``missing`` are the vocabularies whose count was wanted and could not be had.
    """

    decision: Decision
    sizes: Sizes
    missing: frozenset[str] = frozenset()


def decide(
    name: str, request: Request, world: World, *, coarse: bool = True, exact: bool = False
) -> Staged:
    """Plan a request that asks for ``name``.

    ``coarse``: the body's length may decide alone, where that is safe. ``exact``: whatever has a
    vocabulary is counted, even where the count changes nothing.
    """
    bound = Sizes(shape=request.shape)
    if coarse:
        draft = sketch(name, request, world, bound.estimator())
        if settled(draft):
            return _done(draft, request, world, bound)
    measured = yield Measure()
    if not isinstance(measured, Measured):
        raise TypeError("what is asked to be measured is answered by a Measured")
    sizes = msgspec.structs.replace(bound, measured=measured)
    asked: list[tuple[EstimatorSettings, Estimate]] = []
    draft = sketch(name, request, world, _noting(sizes.estimator(), asked))
    wanted = frozenset(
        settings.vocabulary
        for settings, estimate in asked
        if settings.vocabulary is not None
        and settings.kind is not EstimatorKind.CHAR_RATIO
        and (exact or settings.kind is EstimatorKind.TIKTOKEN or _decides(estimate, draft))
    )
    if not wanted:
        return _done(draft, request, world, sizes)
    counted = yield Count(vocabularies=wanted)
    if isinstance(counted, Measured):
        raise TypeError("what is asked to be counted is answered by counts")
    sizes = msgspec.structs.replace(sizes, counted=counted)
    draft = sketch(name, request, world, sizes.estimator())
    return _done(draft, request, world, sizes, wanted - counted.keys())


def _noting(estimator: Estimator, asked: list[tuple[EstimatorSettings, Estimate]]) -> Estimator:
    """Return the estimator, each question and its answer written down."""

    def noting(settings: EstimatorSettings) -> Estimate:
        estimate = estimator(settings)
        asked.append((settings, estimate))
        return estimate

    return noting


def _decides(estimate: Estimate, draft: Decision) -> bool:
    """Tell whether a finer figure in the place of this one could change the decision.

    It could where sizes order or match something, and where this figure is not simply safe; of a
    refusal it changes the figures that a client compacts by.
    """
    if draft.needs_sizes:
        return True
    return any(each.estimate is estimate for each in draft.attempts if each.fit is Fit.GREY) or any(
        each.estimate is estimate for each in draft.skipped if each.reason in SIZE_REASONS
    )


def _done(
    draft: Decision,
    request: Request,
    world: World,
    sizes: Sizes,
    missing: frozenset[str] = frozenset(),
) -> Sized:
    if not draft.attempts:
        draft = finished(draft, request, world, sizes.estimator())
    return Sized(decision=draft, sizes=sizes, missing=missing)
