"""The peer: the proxy one writes in an afternoon, on the same libraries and with no duties.

aiohttp's Application and ClientSession, the standard library's json, the model's name replaced.
Run as ``python naive.py UPSTREAM_PORT``: prints its port, serves until it is killed.
"""

import asyncio
import json
import signal
import sys

import aiohttp
import uvloop
from aiohttp import web


async def main() -> None:
    """Serve on a free port until SIGTERM."""
    target = f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions"
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def forward(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        body["model"] = body["model"].partition("/")[2]
        async with session.post(target, json=body) as reply:
            return web.json_response(json.loads(await reply.read()), status=reply.status)

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()
    await session.close()


if __name__ == "__main__":
    uvloop.run(main())
