"""Judging one model at one place: may this request be sent there, and if not, why not.

The reasons are looked for in the order of ``SkipReason``, and the first that holds is given.
What the surrounding route makes of the verdict is ``plan``'s business.
"""

from decimal import Decimal
from typing import Final

import msgspec

from gatewayctl.core import fit
from gatewayctl.core.model import Auth, EstimatorSettings, Overflow, Provider
from gatewayctl.core.routing.decision import GREY, UNCHECKED, UNFIT, Estimate, Fit, SkipReason
from gatewayctl.core.routing.graph import FitMode
from gatewayctl.core.routing.place import Ceilings, ModelPlace
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.tree import Leaf
from gatewayctl.core.translation import outgoing, why_not

_OFF: Final = FitMode.OFF

USUAL_OUTPUT: Final = 8192
"""Tokens of output that a model is taken to be able to write where its own limit is unknown."""

UNMATCHED = "the rule that leads here does not hold"


class Sized(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request's size at one model: what it needs, what there is, and the verdict."""

    place: ModelPlace
    estimate: Estimate
    output: fit.Budget
    verdict: fit.Verdict

    @property
    def estimator(self) -> EstimatorSettings:
        """The settings that the estimate was made with."""
        return self.place.estimator

    @property
    def limits(self) -> Ceilings:
        """What the model may be filled to."""
        return self.place.limits

    @property
    def capacity_fraction(self) -> Decimal:
        """How much of the window may be filled."""
        return self.place.capacity_fraction

    @property
    def ceiling(self) -> int | None:
        """The limit that is shown: of the window, else of the input side alone."""
        return self.place.ceiling


def judge(place: ModelPlace, planning: Planning) -> Leaf:
    """Return the model as one that may be attempted, or with the reason why not."""
    if place.at is None:
        return _lost(place)
    if not planning.sizes_only and (barred := ineligible(place, place.at, planning)) is not None:
        return barred
    estimate, output, verdict = _figures(place, planning)
    graded, note = grade(verdict, place, place.at)
    if graded is not UNFIT:
        return Leaf(
            place=place,
            fit=graded,
            note=note,
            estimate=estimate,
            ceiling=place.ceiling,
            wanted=output.wanted,
            least=output.least,
        )
    unknown = verdict.fit is UNCHECKED
    return Leaf(
        place=place,
        fit=UNFIT,
        skip=SkipReason.UNKNOWN_WINDOW if unknown else SkipReason.TOO_LARGE,
        note=note,
        estimate=estimate,
        ceiling=place.ceiling,
        wanted=output.wanted,
        least=output.least,
        shortfall=None if unknown else verdict.shortfall,
    )


def size(place: ModelPlace, planning: Planning) -> Sized:
    """Size a request for one model, whether or not it may be sent there."""
    estimate, output, verdict = _figures(place, planning)
    return Sized(place=place, estimate=estimate, output=output, verdict=verdict)


def _figures(place: ModelPlace, planning: Planning) -> tuple[Estimate, fit.Budget, fit.Verdict]:
    estimate = planning.estimate(place.estimator)
    output = fit.budget(
        planning.shape,
        place.most_output,
        place.limits.window,
        place.policy,
        clamp=not place.direct,
    )
    return estimate, output, fit.judge(estimate, output, place.limits)


def unmatched(place: ModelPlace, planning: Planning) -> Leaf:
    """Return the model as one that a rule would lead to which does not hold."""
    if place.at is None:
        return _lost(place)
    barred = ineligible(place, place.at, planning)
    return barred or _leaf(place, SkipReason.RULE_NOT_MATCHED, UNMATCHED)


def _lost(place: ModelPlace) -> Leaf:
    return _leaf(place, SkipReason.RETIRED, "no configured provider lists this model any more")


def ineligible(place: ModelPlace, provider: Provider, planning: Planning) -> Leaf | None:
    """Return why a request may not be sent to a model whatever its size, None when it may."""
    barred = _by_credential(place, provider, planning)
    if barred is not None and barred.skip is not SkipReason.QUOTA_EXHAUSTED:
        return barred
    shape = planning.shape
    if outgoing(provider, shape) is None:
        return _leaf(place, SkipReason.PROTOCOL, why_not(provider, shape))
    if place.denied and not place.denied.isdisjoint(shape.needs):
        return _leaf(place, SkipReason.CAPABILITY, _lacking(place, planning))
    if barred is not None:
        return barred
    retires, today = place.retires_at, planning.request.today
    if retires is not None and today and retires.value <= today:
        return _leaf(place, SkipReason.RETIRED, f"retired on {retires.value} ({retires.source})")
    return None


def _by_credential(place: ModelPlace, provider: Provider, planning: Planning) -> Leaf | None:
    """Return why the client's key or the provider's keeps a request from a model."""
    barred = planning.barred(provider.name, place.model)
    if barred is not None and barred.reason is not SkipReason.NO_KEY:
        return Leaf(
            place=place, fit=UNFIT, skip=barred.reason, note=barred.detail, until=barred.until
        )
    if not planning.has_key(provider.name):
        note = f"no credential for {provider.name}: {provider.key_hint}"
        login = provider.auth is Auth.OAUTH
        return _leaf(place, SkipReason.CREDENTIAL_TERMINAL if login else SkipReason.NO_KEY, note)
    return None if barred is None else _leaf(place, barred.reason, barred.detail)


def _lacking(place: ModelPlace, planning: Planning) -> str:
    """Only a positive "no" denies; what is unknown may be tried."""
    lacking = sorted(place.denied & planning.shape.needs)
    said = place.facts.capabilities[lacking[0]].source if place.facts else "?"
    return f"no {', '.join(lacking)} ({said})"


def _leaf(place: ModelPlace, skip: SkipReason, note: str) -> Leaf:
    return Leaf(place=place, fit=UNFIT, skip=skip, note=note)


def grade(verdict: fit.Verdict, place: ModelPlace, provider: Provider) -> tuple[Fit, str]:
    """Apply the fit mode to a verdict; the text is empty where the sizes speak for themselves."""
    policy = place.policy
    if policy.fit is _OFF:
        return UNCHECKED, "size not checked: fit is off"
    found = verdict.fit
    if found is UNCHECKED:
        if policy.strict_unknown:
            return UNFIT, "window unknown, and strict_unknown refuses what cannot be checked"
        return UNCHECKED, "window unknown: size not checked"
    if found is GREY:
        if policy.fit is FitMode.STRICT:
            return UNFIT, ""
        if provider.overflow is Overflow.TRUNCATES or (place.facts and place.facts.truncates):
            return UNFIT, f"may not fit, and {provider.name} truncates silently"
    return found, ""


def send_budget(leaf: Leaf, asked: int | None, *, required: bool) -> int | None:
    """Return the budget to send in place of the caller's, None to leave the caller's own.

    ``required``: where the caller has none, its upstream wants one all the same.
    """
    if leaf.estimate is None:
        return None
    if asked is None:
        return _needed(leaf, leaf.estimate) if required else None
    if leaf.place.direct:
        return None
    send = _narrowed(leaf, leaf.wanted, leaf.estimate)
    return None if send == asked else send


def _needed(leaf: Leaf, estimate: Estimate) -> int:
    """Return the most that a model may write, within what its window has left."""
    most, total = leaf.place.most_output or USUAL_OUTPUT, leaf.place.limits.total
    if leaf.fit is GREY or total is None:
        return _narrowed(leaf, most, estimate)
    return max(leaf.wanted, min(most, total - estimate.high))


def _narrowed(leaf: Leaf, send: int, estimate: Estimate) -> int:
    """Return a budget as it may be sent where the request is only likely to fit."""
    total = leaf.place.limits.total
    if leaf.fit is not GREY or total is None:
        return send
    return min(send, max(leaf.least, total - estimate.likely))
