"""The models the simulator serves, and their limits. ``demo.toml`` tells the gateway the same."""

from typing import Final

import msgspec


class SimModel(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated model. ``window`` holds input and output together; both limits are tokens.

    ``flaky`` models fail every other call.
    """

    id: str
    window: int
    max_output: int
    flaky: bool = False


MODELS: Final = {
    model.id: model
    for model in (
        SimModel(id="small", window=32_768, max_output=8_192),
        SimModel(id="large", window=262_144, max_output=65_536),
        SimModel(id="flaky", window=32_768, max_output=8_192, flaky=True),
    )
}
