"""The performing of a reply, step by step, on a connection; how it ended is noted."""

import asyncio
import socket
import struct
from typing import Final

from aiohttp import web

from gatewayctl.simulator import plays
from gatewayctl.simulator.journal import Ending, Received

_NO_DELAY_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST."""


async def perform(request: web.Request, play: plays.Play, received: Received) -> web.StreamResponse:
    """Play a reply; note in the journal how it ended."""
    received.status = play.status
    response = web.StreamResponse(status=play.status, headers=dict(play.headers))
    response.headers["content-type"] = play.content_type
    try:
        for step in play.steps:
            if not await _step(request, response, step, received):
                received.end(Ending.BROKEN, _now())
                return response
        await response.write_eof()
    except ConnectionError:
        received.end(Ending.ABANDONED, _now())
        return response
    except asyncio.CancelledError:
        received.end(Ending.ABANDONED, _now())
        raise
    received.end(Ending.WHOLE, _now())
    return response


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _step(
    request: web.Request, response: web.StreamResponse, step: plays.Step, received: Received
) -> bool:
    """Perform one step; return False when it ended the connection."""
    match step:
        case plays.Head():
            await response.prepare(request)
        case plays.Send(frame=frame):
            received.frames += 1
            await response.write(frame.data)
        case plays.Wait(seconds=seconds):
            await asyncio.sleep(seconds)
        case plays.Hang():
            await asyncio.Event().wait()
        case plays.Raw(data=data):
            if request.transport is not None:
                request.transport.write(data)
        case plays.Close():
            if request.transport is not None:
                request.transport.close()
            return False
        case plays.Reset():
            _reset(request)
            return False
    return True


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_DELAY_RESET)
    transport.abort()
