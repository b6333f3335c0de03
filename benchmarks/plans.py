"""How long a routing decision takes in process, as the daemon makes one for every request."""

import timeit
from pathlib import Path

from gatewayctl.cli import offline
from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.decision import Decision
from gatewayctl.core.routing.staged import decide
from gatewayctl.core.routing.world import Request
from gatewayctl.core.shape import RequestShape

LEAVES = 10
PROVIDERS = 4
DECISIONS = 2_000

_ROUTES = """
[[alloys]]
id = "blend"
name = "Blend"
constituents = [
  { model = "p0/m0", context_window = "auto", weight = 80 },
  { model = "p1/m1", context_window = "auto", weight = 15 },
  { model = "p2/m2", context_window = "auto", weight = 5 },
]
[[cascades]]
id = "steps"
steps = [{ model = "p3/m3" }, { model = "p0/m4" }, { model = "p1/m5" }]
[[dispatchers]]
id = "route"
targets = ["blend", "steps", "p2/m6", "p3/m7", "p0/m8", "p1/m9"]
"""

_PROVIDER = """
[providers.p{number}]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
"""

_MODEL = """
[[models]]
id = "p{provider}/m{number}"
context_window = {window}
max_output_tokens = 32000
"""


def ten_leaf_plan(folder: Path) -> float:
    """Return the microseconds of one decision over an alloy, a cascade and four models.

    By the length of the body alone, since a small one needs no more; with every skip, reason and
    budget at hand.
    """
    config = folder / "plans.toml"
    providers = (_PROVIDER.format(number=it) for it in range(PROVIDERS))
    models = (
        _MODEL.format(provider=it % PROVIDERS, number=it, window=200_000 + 10_000 * it)
        for it in range(LEAVES)
    )
    config.write_text("".join((*providers, *models, _ROUTES)))
    world = offline.directory(offline.load_settings(config, {}), {})
    shape = RequestShape(
        protocol=WireProtocol.CHAT_COMPLETIONS, model="route", stream=True, body_bytes=525
    )
    request = Request(shape=shape, seed=1, today="2026-01-01")

    def once() -> Decision:
        try:
            next(decide("route", request, world))
        except StopIteration as done:
            decision: Decision = done.value.decision
            return decision
        raise AssertionError("a small request is settled by its length")

    assert len(once().attempts) == LEAVES
    return timeit.timeit(once, number=DECISIONS) / DECISIONS * 1e6
