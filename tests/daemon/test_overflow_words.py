"""What agents read of an upstream's refusal by size: the words and codes that they compact at."""

import json

import pytest
from support import matrix
from support.asking import asking
from support.dialects import PROTOCOLS
from support.faultlist import ROWS

OVERFLOWS = [row for row in ROWS if row.fault.startswith("overflow")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_prompt_that_one_upstream_refuses_is_told_so_that_agents_compact(
    protocol: str,
) -> None:
    """Codes for OpenAI's clients, Anthropic's very words for Claude Code, whoever refused."""
    async with asking(matrix.providers) as it:
        wrong = []
        for row in OVERFLOWS:
            if protocol not in row.protocols:
                continue
            told = await it.ask(f"up/small!{row.fault}", protocol)
            error = json.loads(told.body)["error"]
            if protocol == "messages":
                good = error["message"].startswith("prompt is too long: ")
            else:
                good = error["code"] == "context_length_exceeded"
            if not good:
                wrong.append(f"{row.fault}: {told.status} {error['message'][:80]}")
        assert not wrong, wrong
