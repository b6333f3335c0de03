"""Planning as finely as the decision needs: by bound, by anchor or ratio, then exactly.

A generator that asks for what costs time (measuring the text, finding what an earlier reply of the
conversation was metered as, counting with a vocabulary) and is sent the answer, so that the daemon,
which has a counting process, and the CLI, which counts by itself, decide by the same steps. Nothing
here measures, remembers or counts.
"""

from collections.abc import Generator, Iterable, Mapping
from typing import assert_never

import msgspec

from gatewayctl.core.anchors import Anchored, by_anchor
from gatewayctl.core.estimate import Counted, by_bound, by_count, by_ratio
from gatewayctl.core.model import EstimatorKind, EstimatorSettings
from gatewayctl.core.routing.decision import Decision, Estimate, Fit, Method
from gatewayctl.core.routing.plan import finished, settled, sketch
from gatewayctl.core.routing.tree import SIZE_REASONS
from gatewayctl.core.routing.world import Estimator, Request, World
from gatewayctl.core.shape import Measured, RequestShape


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the request's ``Measured``."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for exact counts by vocabulary; one that cannot be had is left out of the answer."""

    vocabularies: frozenset[str]


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for the anchors that the request begins with, by model (full id).

    A model of which nothing is known, or nothing of this conversation, is left out of the answer.
    """

    models: frozenset[str]


Step = Measure | Recall | Count
Answer = Measured | Mapping[str, Anchored] | Mapping[str, Counted]
Staged = Generator[Step, Answer, "Sized"]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request's size: ``measured`` None is its length alone.

    ``anchored`` is by model, ``counted`` by vocabulary; ``exact``: a count goes before an anchor.
    """

    shape: RequestShape
    measured: Measured | None = None
    anchored: Mapping[str, Anchored] = {}
    counted: Mapping[str, Counted] = {}
    exact: bool = False

    def estimator(self) -> Estimator:
        """Return what planning asks: the finest estimate that is known."""
        shape, measured = self.shape, self.measured
        if measured is None:
            by_length = by_bound(shape)
            return lambda _: by_length

        by_settings: dict[EstimatorSettings, Estimate] = {}

        def estimate(settings: EstimatorSettings) -> Estimate:
            if (anchor := self._anchor(settings)) is not None:
                found = by_anchor(shape, measured, anchor, settings)
                if found is not None:
                    return found
            alike = msgspec.structs.replace(settings, model="")
            if alike not in by_settings:
                by_settings[alike] = self._unanchored(measured, settings)
            return by_settings[alike]

        return estimate

    def _anchor(self, settings: EstimatorSettings) -> Anchored | None:
        """Return the anchor to estimate from, None where a finer figure or the user forbids it."""
        explicit = self.exact or settings.kind is not EstimatorKind.AUTO
        if explicit and settings.vocabulary in self.counted:
            return None
        return self.anchored.get(settings.model)

    def _unanchored(self, measured: Measured, settings: EstimatorSettings) -> Estimate:
        counted = self.counted.get(settings.vocabulary or "")
        if counted is None or settings.kind is EstimatorKind.CHAR_RATIO:
            return by_ratio(self.shape, measured, settings)
        return by_count(self.shape, measured, counted, settings)


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
    sizes = msgspec.structs.replace(bound, measured=as_measured(measured), exact=exact)
    asked: list[tuple[EstimatorSettings, Estimate]] = []
    draft = sketch(name, request, world, _noting(sizes.estimator(), asked))
    models = anchorable(settings for settings, _ in asked)
    anchored = as_anchored((yield Recall(models=models))) if models else {}
    if anchored:
        sizes = msgspec.structs.replace(sizes, anchored=anchored)
        asked.clear()
        draft = sketch(name, request, world, _noting(sizes.estimator(), asked))
    wanted = frozenset(
        settings.vocabulary
        for settings, estimate in asked
        if settings.vocabulary is not None and _counts(settings, estimate, draft, exact=exact)
    )
    if not wanted:
        return _done(draft, request, world, sizes)
    counted = as_counted((yield Count(vocabularies=wanted)))
    sizes = msgspec.structs.replace(sizes, counted=counted)
    draft = sketch(name, request, world, sizes.estimator())
    return _done(draft, request, world, sizes, wanted - counted.keys())


def anchorable(asked: Iterable[EstimatorSettings]) -> frozenset[str]:
    """Return the models that an anchor may size: not those with a ratio of the user's own."""
    return frozenset(settings.model for settings in asked if settings.model)


def as_measured(answer: Answer) -> Measured:
    """Return the answer to ``Measure``; raise ``TypeError`` for one to another step."""
    if not isinstance(answer, Measured):
        raise TypeError("what is asked to be measured is answered by a Measured")
    return answer


def as_anchored(answer: Answer) -> dict[str, Anchored]:
    """Return the answer to ``Recall``; raise ``TypeError`` for one to another step."""
    if isinstance(answer, Mapping):
        found = {model: each for model, each in answer.items() if isinstance(each, Anchored)}
        if len(found) == len(answer):
            return found
    raise TypeError("what is asked to be recalled is answered by anchors")


def as_counted(answer: Answer) -> dict[str, Counted]:
    """Return the answer to ``Count``; raise ``TypeError`` for one to another step."""
    if isinstance(answer, Mapping):
        found = {name: each for name, each in answer.items() if isinstance(each, Counted)}
        if len(found) == len(answer):
            return found
    raise TypeError("what is asked to be counted is answered by counts")


def _counts(
    settings: EstimatorSettings, estimate: Estimate, draft: Decision, *, exact: bool
) -> bool:
    """Tell whether to count with a vocabulary what was estimated so."""
    match settings.kind:
        case EstimatorKind.CHAR_RATIO:
            return False
        case EstimatorKind.TIKTOKEN | EstimatorKind.HUGGINGFACE:
            return True
        case EstimatorKind.AUTO:
            anchored = estimate.method is Method.ANCHOR
            return exact or (not anchored and _decides(estimate, draft))
        case _:
            assert_never(settings.kind)


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
