"""Cascades: ordered fallback. Steps stand in declaration order; what cannot answer is skipped."""

from gatewayctl.core.routing.decision import Fit
from gatewayctl.core.routing.graph import Cascade
from gatewayctl.core.routing.tree import Branch, Tree, best, ceilings, fit_of


def ordered(cascade: Cascade, children: tuple[Tree, ...]) -> Branch:
    """Return the cascade with its steps as declared."""
    fits = [fit_of(child) for child in children]
    able = sum(fit is not Fit.UNFIT for fit in fits)
    reason = f"{able} of {len(children)} steps can answer" if able else "no step can answer"
    return Branch(
        id=cascade.id,
        kind="cascade",
        children=children,
        fit=best(fits),
        reason=reason,
        ceiling=max(ceilings(children), default=None),
    )
