"""A decision as JSON-ready values: what ``route-explain --json`` prints and the daemon's API says.

Field names are a contract (``schema_version`` 1). How it looks on a terminal is the CLI's business.
"""

from collections.abc import Mapping, Sequence

from gatewayctl.core.errors import ApiError
from gatewayctl.core.routing.decision import Candidate, Decision, Estimate, Node, Skipped
from gatewayctl.core.shape import RequestShape

SCHEMA_VERSION = 1

Json = dict[str, object]


Dropped = Mapping[str, Sequence[str]]
"""What a translation leaves out of a request, by the model that it is translated for."""


def rendered(decision: Decision, dropped: Dropped) -> Json:
    """Return the whole decision."""
    return {
        "schema_version": SCHEMA_VERSION,
        "requested": decision.requested,
        "route": decision.route,
        "route_kind": decision.route_kind,
        "shape": _shape(decision.shape),
        "chosen": decision.chosen,
        "attempts": [_candidate(each, dropped) for each in decision.attempts],
        "skipped": [_skipped(each) for each in decision.skipped],
        "tree": None if decision.tree is None else _node(decision.tree),
        "notes": list(decision.notes),
        "error": None if decision.error is None else _error(decision.error),
    }


def estimate(value: Estimate | None) -> Json | None:
    """Return an estimate as ``{low, likely, high, method}``."""
    if value is None:
        return None
    return {
        "low": value.low,
        "likely": value.likely,
        "high": value.high,
        "method": value.method.value,
    }


def _shape(shape: RequestShape) -> Json:
    return {
        "protocol": shape.protocol.value,
        "model": shape.model,
        "stream": shape.stream,
        "body_bytes": shape.body_bytes,
        "output_budget": shape.output_budget,
        "thinking_budget": shape.thinking_budget,
        "n": shape.n,
        "needs": sorted(need.value for need in shape.needs),
        "remote": shape.remote,
    }


def _candidate(candidate: Candidate, dropped: Dropped) -> Json:
    return {
        "model": candidate.model,
        "provider": candidate.provider,
        "protocol": candidate.protocol.value,
        "fit": candidate.fit.value,
        "reason": candidate.reason,
        "estimate": estimate(candidate.estimate),
        "ceiling": candidate.ceiling,
        "context_window": candidate.context_window,
        "output_budget": candidate.output_budget,
        "send_budget": candidate.send_budget,
        "dropped": list(dropped.get(candidate.model, ())),
    }


def _skipped(skipped: Skipped) -> Json:
    return {
        "model": skipped.model,
        "reason": skipped.reason.value,
        "detail": skipped.detail,
        "estimate": estimate(skipped.estimate),
        "ceiling": skipped.ceiling,
        "shortfall": skipped.shortfall,
    }


def _node(node: Node) -> Json:
    return {
        "id": node.id,
        "kind": node.kind,
        "fit": node.fit.value,
        "reason": node.reason,
        "duplicate": node.duplicate,
        "children": [_node(child) for child in node.children],
    }


def _error(error: ApiError) -> Json:
    return {
        "kind": error.kind.value,
        "message": error.message,
        "tokens": error.tokens,
        "limit": error.limit,
        **error.details,
    }
