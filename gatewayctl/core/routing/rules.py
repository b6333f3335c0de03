"""Whether a dispatcher's rule holds for a request.

All conditions of a rule must hold. Those on size come last, so that a request is measured only
for a rule that depends on it.
"""

from fnmatch import fnmatchcase

from gatewayctl.core.model import Capability, EstimatorSettings
from gatewayctl.core.routing.graph import When
from gatewayctl.core.routing.planning import Planning
from gatewayctl.core.routing.world import Request

_NEEDS = (
    ("tools", Capability.TOOLS),
    ("images", Capability.IMAGES),
    ("documents", Capability.DOCUMENTS),
    ("audio", Capability.AUDIO),
    ("reasoning", Capability.REASONING),
    ("json_schema", Capability.JSON_SCHEMA),
)


def holds(when: When, estimators: tuple[EstimatorSettings, ...], planning: Planning) -> bool:
    """Tell whether all conditions hold; ``estimators`` are those of the target's leaves.

    Where a finer estimate might say otherwise, the planning is told so.
    """
    return _by_shape(when, planning.request) and _by_size(when, estimators, planning)


def _by_shape(when: When, request: Request) -> bool:
    shape = request.shape
    if when.stream is not None and when.stream is not shape.stream:
        return False
    if when.protocol is not None and when.protocol is not shape.protocol:
        return False
    if when.client is not None and when.client != request.client:
        return False
    for field, need in _NEEDS:
        asked = getattr(when, field)
        if asked is not None and asked is not (need in shape.needs):
            return False
    return all(_matches(request, name, glob) for name, glob in when.header.items())


def _matches(request: Request, name: str, glob: str) -> bool:
    """Tell whether a header is there and its whole value matches, case and all."""
    value = request.headers.get(name.lower())
    return value is not None and fnmatchcase(value, glob)


def _by_size(when: When, estimators: tuple[EstimatorSettings, ...], planning: Planning) -> bool:
    most, least = when.max_input_tokens, when.min_input_tokens
    if most is None and least is None:
        return True
    sizes = [planning.estimate(settings) for settings in estimators]
    high = max((each.high for each in sizes), default=0)
    low = max((each.low for each in sizes), default=0)
    # The truth lies between low and high: only what changes in between is still open.
    if most is not None and low <= most < high:
        planning.needs_sizes = True
    if least is not None and low < least <= high:
        planning.needs_sizes = True
    return (most is None or high <= most) and (least is None or high >= least)
