"""What the simulator meters for a request: by its own rule, or by a tokenizer that is hidden.

The hidden one counts with a packaged vocabulary and adds what such a provider adds unseen: a frame
around each message, a preamble where there are tools. Its constants are its own and owe nothing to
the gateway's estimates. Which parts of a body count is the wire modules' business.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import msgspec

from gatewayctl.simulator import tokenizer
from gatewayctl.simulator.brain import Answer
from gatewayctl.simulator.request import MEDIA_TOKENS, TURN_TOKENS, Ask, gather, rendered
from gatewayctl.tokenizers import catalog, tiktoken

_REQUEST: Final = 7
_MESSAGE: Final = 5
_TOOLS: Final = 313
_TOOL: Final = 9
_ENCODING: Final = threading.Lock()
"""An encoder is shared by all simulators of a process, and is not for several threads at once."""


class Meter(Protocol):
    """Counts what a request and its answer cost."""

    async def input(self, ask: Ask) -> int:
        """Return the input tokens of a request, without holding the loop up."""
        ...

    async def output(self, answer: Answer, limit: int) -> int:
        """Return the output tokens of an answer of at most ``limit`` tokens."""
        ...

    async def thoughts(self, answer: Answer, limit: int) -> int:
        """Return how many of the output tokens are thoughts."""
        ...

    async def close(self) -> None:
        """Free what is held for counting."""
        ...


class OwnMeter:
    """Counts by the rule that is written down in ``tokenizer``."""

    async def input(self, ask: Ask) -> int:
        """Return the input tokens of a request."""
        gathered = gather(ask.counted)
        text = await tokenizer.count_all(gathered.texts)
        return text + gathered.media * MEDIA_TOKENS + ask.turns * TURN_TOKENS

    async def output(self, answer: Answer, limit: int) -> int:  # noqa: ARG002 - cut already
        """Return the output tokens of an answer, which is made of them."""
        return answer.output_tokens

    async def thoughts(self, answer: Answer, limit: int) -> int:  # noqa: ARG002 - cut already
        """Return the tokens of the thoughts, which are made of them."""
        return answer.thought_tokens

    async def close(self) -> None:
        """Free nothing: nothing is held."""


class HiddenMeter:
    """Counts with a packaged vocabulary, such as ``cl100k_base``, in a thread of its own.

    The first count makes the encoder: 60 MB for the process, and 100 ms that hold up its threads.
    Raises ``CountUnavailable`` when the vocabulary is not packaged.
    """

    def __init__(self, vocabulary: str) -> None:
        self._vocabulary = catalog.find(vocabulary).name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulator-meter")

    async def input(self, ask: Ask) -> int:
        """Return the input tokens of a request: texts, and JSON as it stands in a prompt."""
        gathered = rendered(ask.counted)
        tools = _TOOLS + len(ask.tools) * _TOOL if ask.tools else 0
        frames = _REQUEST + ask.turns * _MESSAGE + tools
        return await self._count(gathered.texts) + gathered.media * MEDIA_TOKENS + frames

    async def output(self, answer: Answer, limit: int) -> int:
        """Return the output tokens of an answer, whose pieces are the simulator's own."""
        texts = [answer.thought, answer.text]
        for call in answer.calls:
            texts += [call.name, call.json]
        return min(await self._count(texts), limit)

    async def thoughts(self, answer: Answer, limit: int) -> int:
        """Return the tokens of what was thought."""
        return min(await self._count([answer.thought]), limit)

    async def close(self) -> None:
        """Wait for a count that runs, and end the thread."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _count(self, texts: list[str]) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _count, self._vocabulary, texts)


def meter(vocabulary: str | None) -> Meter:
    """Return the meter of a vocabulary, the simulator's own where there is none.

    Raises ``CountUnavailable`` when the vocabulary is not packaged.
    """
    return OwnMeter() if vocabulary is None else HiddenMeter(vocabulary)


async def metered(answer: Answer, meter: Meter, limit: int) -> Answer:
    """Return the answer with the output tokens that a meter counts for it."""
    tokens = await meter.output(answer, limit)
    thoughts = await meter.thoughts(answer, tokens)
    return msgspec.structs.replace(answer, output_tokens=tokens, thought_tokens=thoughts)


def _count(vocabulary: str, texts: list[str]) -> int:
    with _ENCODING:
        encoder = tiktoken.encoder(vocabulary)
        return sum(map(encoder.count, texts))
