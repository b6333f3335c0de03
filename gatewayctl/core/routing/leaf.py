"""Judging one model at one place: may this request be sent there, and if not, why not.

The reasons are looked for in the order of ``SkipReason``, and the first that holds is given.
What the surrounding route makes of the verdict is ``plan``'s business.
"""

from decimal import Decimal

import msgspec

from gatewayctl.core import fit
from gatewayctl.core.estimate import tokenizer_name
from gatewayctl.core.model import Capability, EstimatorSettings, ModelFacts, Overflow, Provider
from gatewayctl.core.routing.decision import Candidate, Estimate, Fit, Skipped, SkipReason
from gatewayctl.core.routing.graph import FitMode, Place, Policy
from gatewayctl.core.routing.names import ExactModel
from gatewayctl.core.routing.world import Context, Request, World


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """A request's size at one model: what it needs, what there is, and the verdict."""

    estimate: Estimate
    estimator: EstimatorSettings
    limits: fit.Ceilings
    output: fit.Budget
    verdict: fit.Verdict
    capacity_fraction: Decimal

    @property
    def ceiling(self) -> int | None:
        """The limit that is shown: of the window, else of the input side alone."""
        return self.limits.input if self.limits.total is None else self.limits.total


def judge(
    named: ExactModel,
    place: Place,
    policy: Policy,
    context: Context,
    *,
    direct: bool,
) -> Candidate | Skipped:
    """Return the model as a candidate, or as skipped with the reason.

    ``direct``: the model was asked for by its own name, not through a route.
    """
    request, world = context.request, context.world
    full_id = f"{named.provider}/{named.model}"
    provider = world.provider(named.provider)
    if provider is None:
        return Skipped(
            model=full_id, reason=SkipReason.NO_KEY, detail=f"{named.provider} is not configured"
        )
    facts = world.facts(named.provider, named.model)
    if (early := _ineligible(full_id, provider, facts, request, world)) is not None:
        return early
    sized = size(named, place, policy, context, direct=direct)
    estimate, output, limits, verdict = sized.estimate, sized.output, sized.limits, sized.verdict
    graded, detail = grade(verdict, provider, policy)
    ceiling = sized.ceiling
    if graded is Fit.UNFIT:
        unknown = verdict.fit is Fit.UNCHECKED
        return Skipped(
            model=full_id,
            reason=SkipReason.UNKNOWN_WINDOW if unknown else SkipReason.TOO_LARGE,
            detail=detail or _too_large(estimate, output, limits, verdict),
            estimate=estimate,
            ceiling=ceiling,
            input_ceiling=limits.input,
            context_window=limits.window,
            output_budget=output.wanted,
            least_budget=output.least,
            shortfall=None if unknown else verdict.shortfall,
        )
    return Candidate(
        model=full_id,
        provider=named.provider,
        upstream_model=named.model,
        protocol=request.shape.protocol,
        fit=graded,
        reason=detail or _fits(estimate, output, ceiling, sized.estimator),
        estimate=estimate,
        estimator=sized.estimator,
        output_budget=output.wanted,
        least_budget=output.least,
        ceiling=ceiling,
        context_window=limits.window,
        send_budget=None if direct else _send_budget(request, estimate, output, limits, graded),
        timeout=place.timeout,
    )


def size(
    named: ExactModel, place: Place, policy: Policy, context: Context, *, direct: bool
) -> Sized:
    """Size a request for one model, whether or not it may be sent there."""
    world = context.world
    facts = world.facts(named.provider, named.model)
    settings = world.settings(f"{named.provider}/{named.model}")
    estimator = place.estimator or settings.estimator
    limits = fit.ceilings(facts, place.context_window, settings.capacity_fraction)
    output = fit.budget(context.request.shape, facts, limits.window, policy, clamp=not direct)
    estimate = context.estimator(estimator)
    return Sized(
        estimate=estimate,
        estimator=estimator,
        limits=limits,
        output=output,
        verdict=fit.judge(estimate, output, limits),
        capacity_fraction=settings.capacity_fraction,
    )


def _ineligible(
    full_id: str, provider: Provider, facts: ModelFacts | None, request: Request, world: World
) -> Skipped | None:
    shape = request.shape
    if not world.has_key(provider.name):
        return Skipped(
            model=full_id,
            reason=SkipReason.NO_KEY,
            detail=f"no credential for {provider.name}: {provider.key_hint}",
        )
    if shape.protocol not in provider.protocols:
        spoken = ", ".join(provider.protocols)
        return Skipped(
            model=full_id,
            reason=SkipReason.PROTOCOL,
            detail=f"{provider.name} speaks {spoken}; the request is {shape.protocol}",
        )
    if facts is None:
        return None
    lacking = sorted(need for need in shape.needs if _denied(facts, need))
    if lacking:
        return Skipped(
            model=full_id,
            reason=SkipReason.CAPABILITY,
            detail=f"no {', '.join(lacking)} ({facts.capabilities[lacking[0]].source})",
        )
    if facts.retires_at is not None and request.today and facts.retires_at.value <= request.today:
        return Skipped(
            model=full_id,
            reason=SkipReason.RETIRED,
            detail=f"retired on {facts.retires_at.value} ({facts.retires_at.source})",
        )
    return None


def _denied(facts: ModelFacts, need: Capability) -> bool:
    """Only a positive "no" denies; what is unknown may be tried."""
    known = facts.capabilities.get(need)
    return known is not None and not known.value


def grade(verdict: fit.Verdict, provider: Provider, policy: Policy) -> tuple[Fit, str | None]:
    """Apply the fit mode to a verdict; the text is None where the sizes speak for themselves."""
    if policy.fit is FitMode.OFF:
        return Fit.UNCHECKED, "size not checked: fit is off"
    match verdict.fit:
        case Fit.UNCHECKED if policy.strict_unknown:
            return Fit.UNFIT, "window unknown, and strict_unknown refuses what cannot be checked"
        case Fit.UNCHECKED:
            return Fit.UNCHECKED, "window unknown: size not checked"
        case Fit.GREY if policy.fit is FitMode.STRICT:
            return Fit.UNFIT, None
        case Fit.GREY if provider.overflow is Overflow.TRUNCATES:
            return Fit.UNFIT, f"may not fit, and {provider.name} truncates silently"
        case _:
            return verdict.fit, None


def _send_budget(
    request: Request, estimate: Estimate, output: fit.Budget, limits: fit.Ceilings, graded: Fit
) -> int | None:
    """Return the budget to send in place of the caller's, None to leave the caller's own."""
    asked = request.shape.output_budget
    if asked is None:
        return None
    send = output.wanted
    if graded is Fit.GREY and limits.total is not None:
        send = min(send, max(output.least, limits.total - estimate.likely))
    return None if send == asked else send


def _fits(
    estimate: Estimate, output: fit.Budget, ceiling: int | None, settings: EstimatorSettings
) -> str:
    name = "bound" if estimate.method == "bound" else tokenizer_name(settings)
    return f"{estimate.high:,} in ({name}) + {output.wanted:,} out, ceiling {ceiling or 0:,}"


def _too_large(
    estimate: Estimate, output: fit.Budget, limits: fit.Ceilings, verdict: fit.Verdict
) -> str:
    if limits.total is not None and estimate.high + output.wanted - limits.total == (
        verdict.shortfall
    ):
        side = f"ceiling {limits.total:,}"
    else:
        side = f"input limit {limits.input or 0:,}"
    return (
        f"{estimate.high:,} in + {output.wanted:,} out exceeds the {side} by {verdict.shortfall:,}"
    )
