"""A decision with what it rests on: the models' limits, who says so since when, and the price.

JSON-ready, for ``route-explain``, the daemon's API and dry runs alike: ``render`` is the decision,
this adds the facts beside it. Field names are a contract (``schema_version`` 1).
"""

from types import MappingProxyType
from typing import Any

from gatewayctl.core.model import ModelFacts, Sourced
from gatewayctl.core.pricing import price_range, tier_at
from gatewayctl.core.routing.decision import Candidate, Decision, Skipped
from gatewayctl.core.routing.render import Dropped, Json, rendered
from gatewayctl.core.routing.session import Session

LIMITS = ("context_window", "max_input_tokens", "max_output_tokens")


def explained(
    decision: Decision, session: Session | None = None, dropped: Dropped = MappingProxyType({})
) -> Json:
    """Return the whole decision, ``session`` and, by full id, ``models``.

    ``dropped`` is what translations leave out, as far as it is known.
    ``session`` is what planning knew of the conversation, null when nothing tells it apart.
    """
    judged: list[Candidate | Skipped] = [*decision.attempts, *decision.skipped]
    return {
        **rendered(decision, dropped),
        "session": _session(session),
        "models": {each.model: _model(each, decision) for each in judged},
    }


def _session(session: Session | None) -> Json | None:
    if session is None:
        return None
    return {
        "inferred": session.inferred,
        "turn": session.turn,
        "picks": {route: pick.child for route, pick in session.own_picks().items()},
    }


def _model(judged: Candidate | Skipped, decision: Decision) -> Json:
    place = judged.place
    facts = place.facts or ModelFacts(id=place.model, provider=place.provider)
    told: Json = {limit: _sourced(getattr(facts, limit)) for limit in LIMITS}
    held, known = place.limits.window, facts.context_window
    if held is not None and (known is None or known.value != held):
        # a cap says so, or the request's beta header, or the place or a route around it
        unlocked = any(each.context_window == held for each in facts.unlocked)
        said = Sourced(value=held, source="beta" if unlocked else "config")
        told["context_window"] = _sourced(place.limits.cap or said)
    return {**told, "price": _price(judged, decision)}


def _price(judged: Candidate | Skipped, decision: Decision) -> Json | None:
    """Return what the request may cost there in USD, at the hour when that was decided.

    Null where prices or size are unknown.
    """
    if judged.estimate is None or judged.output_budget is None:
        return None
    place, answers = judged.place, decision.shape.n
    tier = tier_at(None, place.off_peak, decision.at)
    price = price_range(place.prices, judged.estimate, judged.output_budget, answers, tier)
    return None if price is None else {"low": price.low, "high": price.high}


def _sourced(said: Sourced[Any] | None) -> Json | None:
    """Return a fact as ``{value, source, fetched_at}``."""
    if said is None:
        return None
    return {"value": said.value, "source": said.source, "fetched_at": said.fetched_at}
