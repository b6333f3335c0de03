"""``python -m gatewayctl.simulator [PORT]``: the simulator alone, for developers."""

import asyncio
import sys

from gatewayctl.simulator.server import start

_DEFAULT_PORT = 8791


async def _run(port: int) -> None:
    simulator = await start(port=port)
    sys.stderr.write(f"simulator listening on {simulator.base_url}\n")
    try:
        await asyncio.Event().wait()
    finally:
        await simulator.close()


if __name__ == "__main__":
    try:
        asyncio.run(_run(int(sys.argv[1]) if len(sys.argv) > 1 else _DEFAULT_PORT))
    except KeyboardInterrupt:
        sys.exit(130)
