"""Refusals: what a client is told when nothing can answer, with every candidate and its reason.

Which status and words a refusal gets is the dialect's business (``protocols.*.errors``).
"""

from collections.abc import Callable, Sequence
from itertools import chain, islice

from gatewayctl.core.errors import ApiError, ErrorKind
from gatewayctl.core.routing.decision import Decision, Skipped, SkipReason
from gatewayctl.core.routing.tree import SIZE_REASONS
from gatewayctl.core.routing.world import World

MAX_SUGGESTIONS = 5
"""How many models or routes that would fit a refusal names."""

MAX_LOOKED_AT = 100
"""How many are looked at for that: a refusal must stay cheap however long a config is."""

_BARS = (
    (SkipReason.QUOTA_EXHAUSTED, ErrorKind.RATE_LIMITED),
    (SkipReason.CREDENTIAL_TERMINAL, ErrorKind.UPSTREAM_AUTH),
    (SkipReason.NO_KEY, ErrorKind.FORBIDDEN),
    (SkipReason.NOT_ALLOWED, ErrorKind.FORBIDDEN),
)
"""What is blamed on a credential, and how it is told: what passes by itself first."""

_UNSUPPORTED = frozenset({SkipReason.PROTOCOL, SkipReason.CAPABILITY})


def unknown_model(name: str, nearest: Sequence[str], absent: str | None = None) -> ApiError:
    """Refuse a name that means nothing: with the nearest ones, or with what would make it mean one.

    ``absent`` says what to do when the provider it names is known but not configured.
    """
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
    if absent is not None:
        hint = f"; {absent}"
    return ApiError(
        kind=ErrorKind.UNKNOWN_MODEL,
        message=f'no model or route is called "{name}"{hint}',
        param="model",
        should_retry=False,
        details={"requested": name, "nearest": list(nearest)},
    )


def nothing_left(decision: Decision, world: World, fits: Callable[[str], bool]) -> ApiError:
    """Refuse a request that no candidate can take.

    By size when size alone is to blame, else by what no candidate can, by credentials, or
    unavailable. ``fits`` tells whether another model or route would take the request.
    """
    # A rule that does not hold is nobody's fault: it says where other requests go.
    reasons = {skipped.reason for skipped in decision.skipped} - {SkipReason.RULE_NOT_MATCHED}
    # Where a client may use some of a route's models, it is as if there were no others.
    reasons = reasons - {SkipReason.NOT_ALLOWED} or reasons
    unchecked = SkipReason.UNKNOWN_WINDOW in reasons and SkipReason.TOO_LARGE not in reasons
    if SkipReason.PINNED in reasons or (reasons <= SIZE_REASONS and not unchecked):
        return _by_size(decision, world, fits)
    blamed = reasons - SIZE_REASONS
    kind = ErrorKind.UNAVAILABLE
    if reasons & _UNSUPPORTED:
        kind, blamed = ErrorKind.UNSUPPORTED, reasons & _UNSUPPORTED
    elif bars := [bar for bar in _BARS if bar[0] in reasons]:
        kind, blamed = bars[0][1], {bars[0][0]}
    elif not blamed:
        # No window is known and none is taken on trust: a smaller request would fare no better.
        kind, blamed = ErrorKind.UNSUPPORTED, {SkipReason.UNKNOWN_WINDOW}
    told = [skipped for skipped in decision.skipped if skipped.reason in blamed]
    return ApiError(
        kind=kind,
        message=f"{decision.requested} cannot take this request: {_said(told)}",
        param="model" if kind is ErrorKind.UNSUPPORTED else None,
        retry_after=min((it.until for it in told if it.until is not None), default=None),
        should_retry=kind in {ErrorKind.UNAVAILABLE, ErrorKind.RATE_LIMITED},
        details={"requested": decision.requested, "candidates": _candidates(decision)},
    )


def all_cooling(decision: Decision, soonest: float) -> ApiError:
    """Refuse a request whose candidates all cool for longer than its deadline leaves.

    ``soonest`` is in how many seconds the first of them is worth an attempt.
    """
    told = [each for each in decision.skipped if each.reason is SkipReason.COOLING]
    return ApiError(
        kind=ErrorKind.UNAVAILABLE,
        message=f"{decision.requested} cannot take this request now: {_said(told)}",
        retry_after=soonest,
        details={"requested": decision.requested, "candidates": _candidates(decision)},
    )


def _by_size(decision: Decision, world: World, fits: Callable[[str], bool]) -> ApiError:
    limit = decision.ceiling or 0
    binding = _binding(decision, limit)
    likely = 0 if binding.estimate is None else binding.estimate.likely
    least = binding.least_budget or 0
    by_input = binding.input_ceiling
    if by_input is not None and (binding.place.limits.total is None or by_input <= limit - least):
        limit, least = by_input, 0  # no output stands on this side
    tokens = max(likely + least, limit + 1)
    would = _would_fit(decision, world, fits)
    hint = f" It would fit {', '.join(would)}." if would else ""
    return ApiError(
        kind=ErrorKind.TOO_LARGE,
        message=(
            f"{decision.requested} cannot hold this request: about {likely:,} input tokens and "
            f"{binding.output_budget or 0:,} of output against {limit:,} ({binding.model}).{hint}"
        ),
        tokens=tokens,
        limit=limit,
        should_retry=False,
        details={
            "requested": decision.requested,
            "context_window": binding.context_window,
            "ceiling": limit,
            "estimated_input_tokens": tokens - least,
            "output_budget": binding.output_budget,
            "safety_margin": float(world.settings(binding.model).estimator.safety_margin),
            "candidates": _candidates(decision),
            "would_fit": would,
        },
    )


def _binding(decision: Decision, limit: int) -> Skipped:
    """Return the model whose ceiling the route's is, else the one with the largest estimate.

    Compacting by what exceeds it makes the request fit, and by no more than needed.
    """

    def rank(skipped: Skipped) -> tuple[bool, bool, int]:
        size = 0 if skipped.estimate is None else skipped.estimate.likely
        return skipped.reason is not SkipReason.PINNED, skipped.ceiling == limit, size

    return max(decision.skipped, key=rank)


def _said(skipped: Sequence[Skipped]) -> str:
    """Say why of each model; those that a client may not use are not named to it."""
    said = (
        each.detail if each.reason is SkipReason.NOT_ALLOWED else f"{each.model}: {each.detail}"
        for each in skipped[:MAX_SUGGESTIONS]
    )
    return "; ".join(dict.fromkeys(said))


def _candidates(decision: Decision) -> list[dict[str, object]]:
    """Return what is told of each model; a client does not learn of those that it may not use."""
    shown = [it for it in decision.skipped if it.reason is not SkipReason.NOT_ALLOWED]
    return [_told(skipped) for skipped in shown]


def _told(skipped: Skipped) -> dict[str, object]:
    told: dict[str, object] = {
        "model": skipped.model,
        "reason": skipped.reason.value,
        "detail": skipped.detail,
    }
    if skipped.estimate is not None:
        told["estimate"] = skipped.estimate.likely
    for field in ("ceiling", "shortfall", "output_budget"):
        if (value := getattr(skipped, field)) is not None:
            told[field] = value
    return told


def _would_fit(decision: Decision, world: World, fits: Callable[[str], bool]) -> list[str]:
    """Name configured routes and models that would take the request.

    A model that was skipped here may be one: on its own it is bound to no blend and no session.
    """
    refused = {decision.requested, decision.route}
    found: list[str] = []
    for name in islice(chain(world.graph.routes, world.declared()), MAX_LOOKED_AT):
        if len(found) == MAX_SUGGESTIONS:
            break
        if name not in refused and fits(name):
            found.append(name)
    return found
