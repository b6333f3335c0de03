"""``python -m gatewayctl.simulator [PORT]``: the simulator alone, for developers."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from gatewayctl.simulator.faults import HEADER, described, described_wishes
from gatewayctl.simulator.overflows import PROVIDERS
from gatewayctl.simulator.server import start
from gatewayctl.simulator.servers import KINDS, Local
from gatewayctl.simulator.servers.local import CONTEXT, TRAINED, Overlong
from gatewayctl.tokenizers.catalog import VOCABULARIES

_DEFAULT_PORT = 8791
_GUIDE = f"""\
A fault is asked for in the model's name (small!429=2), in a header ({HEADER}: 429=2) or in
a script (Simulator.script, one entry for each of the next calls). Several are joined by commas
or "!". "*N" after a fault lets it hold for a model's first N calls only: small!500*1 fails once.

faults:
{described()}

what is no fault, and asked for in the same way:
{described_wishes()}

providers whose words overflow knows: {", ".join(PROVIDERS)}
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gatewayctl.simulator",
        description="Serve simulated models on a loopback port, over four protocols.",
        epilog=_GUIDE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("port", nargs="?", type=int, default=_DEFAULT_PORT, help="%(default)s")
    parser.add_argument("--faults", action="store_true", help="list the faults and leave")
    parser.add_argument(
        "--tokenizer",
        choices=list(VOCABULARIES),
        help="meter by this vocabulary instead of the simulator's own rule",
    )
    local = parser.add_argument_group("play a local server instead of the three models")
    local.add_argument("--as", dest="kind", choices=list(KINDS), help="which server")
    local.add_argument("--model", action="append", default=[], help="what its model is called")
    local.add_argument(
        "--context", type=int, default=CONTEXT, help="tokens that it serves: %(default)s"
    )
    local.add_argument(
        "--trained", type=int, default=TRAINED, help="tokens that it advertises: %(default)s"
    )
    local.add_argument(
        "--overlong",
        type=Overlong,
        choices=list(Overlong),
        help="what becomes of a prompt that is too long: the server's own way unless told",
    )
    return parser


def _local(given: argparse.Namespace) -> Local | None:
    if given.kind is None:
        return None
    return Local(
        given.kind,
        context=given.context,
        trained=given.trained,
        models=tuple(given.model),
        overlong=given.overlong,
    )


async def _run(given: argparse.Namespace) -> None:
    simulator = await start(port=given.port, tokenizer=given.tokenizer, local=_local(given))
    sys.stderr.write(f"simulator listening on {simulator.base_url}\n")
    try:
        await asyncio.Event().wait()
    finally:
        await simulator.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted, or print the list of faults; return the exit status."""
    given = _parser().parse_args(arguments)
    if given.faults:
        sys.stdout.write(_GUIDE)
        return 0
    try:
        asyncio.run(_run(given))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
