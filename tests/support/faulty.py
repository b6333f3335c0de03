"""One call of the simulator with a fault, asked for in any of the three ways."""

import re
from typing import Final

import aiohttp
import msgspec
from support.dialects import address, encoded

from gatewayctl.simulator import Simulator

BREAKS: Final = (aiohttp.ClientError, ConnectionError)
SWITCHES: Final = ("header", "model", "script")

_VARYING: Final = re.compile(
    rb"(?<=chatcmpl-)[0-9a-f]+|(?<=resp_)[0-9a-f]+|(?<=msg_)[0-9a-f]+"
    rb'|(?<="responseId":")[0-9a-f]+|(?<="created":)\d+|(?<="created_at":)\d+|(?<="completed_at":)\d+'
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that came back: ``status`` is None where no headers came.

    ``clean`` replies ended as HTTP says, however little sense their bytes make.
    """

    status: int | None
    headers: dict[str, str] = {}
    body: bytes = b""
    clean: bool = False

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def lasting(self) -> bytes:
        """The body without what differs from call to call: ids and times."""
        return _VARYING.sub(b"", self.body)


async def call(
    simulator: Simulator,
    protocol: str,
    fault: str,
    *,
    stream: bool = True,
    switch: str = "header",
    model: str = "small",
) -> Told:
    """Call the simulator with a fault by ``switch``; return what came back, as far as it came."""
    headers = {"x-sim-fault": fault} if switch == "header" else {}
    if switch == "script":
        simulator.script([fault])
    if switch == "model":
        model = f"{model}!{fault}"
    body = encoded(protocol, model, "hello", stream=stream)
    received = b""
    status: int | None = None
    got: dict[str, str] = {}
    path = address(protocol, model, stream=stream)
    async with aiohttp.ClientSession(simulator.base_url, auto_decompress=False) as http:
        try:
            async with http.post(path, data=body, headers=headers) as response:
                status = response.status
                got = {name.lower(): value for name, value in response.headers.items()}
                async for piece in response.content.iter_any():
                    received += piece
        except BREAKS:
            return Told(status=status, headers=got, body=received)
    return Told(status=status, headers=got, body=received, clean=True)
