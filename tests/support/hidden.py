"""A provider whose tokenizer nobody knows, and conversations with it.

What it meters is made of its own tokens and its own framing, both unlike ours. Requests go through
the same reading as in the daemon: shape, measure, prefixes.
"""

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
from support.written import text

from gatewayctl.core.anchors import Anchor, Anchored, anchor_of, by_anchor
from gatewayctl.core.estimate import by_ratio
from gatewayctl.core.model import EstimatorSettings, WireProtocol
from gatewayctl.core.observed import Sample, observe, sample_of
from gatewayctl.core.routing.decision import Estimate
from gatewayctl.core.shape import Measured, RequestShape, Segment
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.measure import compact, strings_in
from gatewayctl.protocols.prefix import prefixes, recalled
from gatewayctl.protocols.readers import READERS

Count = Callable[[str], int]

KEY: Final = b"k" * 32


class Framing(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider adds: once, around each message, once for tools, around each of them."""

    request: int = 7
    message: int = 5
    tools: int = 313
    tool: int = 9


class Provider:
    """Meters requests and replies; a text that comes again is counted once."""

    def __init__(self, count: Count, framing: Framing | None = None) -> None:
        self.count = lru_cache(maxsize=4096)(count)
        self.framing = framing or Framing()

    def metered(self, reader: Reader, body: bytes) -> int:
        """Return what the reply to a request would tell as its input."""
        meter = _Meter(self.count, self.framing)
        reader.walk(body, meter)
        return meter.tokens


class _Meter:
    """A ``Sink`` that counts with the hidden tokenizer."""

    def __init__(self, count: Count, framing: Framing) -> None:
        self._count = count
        self._framing = framing
        self._tools = False
        self.tokens = framing.request

    def message(self, segment: Segment) -> None:  # noqa: ARG002
        self.tokens += self._framing.message

    def text(self, segment: Segment, text: str) -> None:  # noqa: ARG002
        self.tokens += self._count(text)

    def name(self, segment: Segment, name: Any) -> None:
        if isinstance(name, str):
            self.text(segment, name)

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        self.name(segment, name)
        if isinstance(arguments, str):
            self.text(segment, arguments)
        else:
            self.json(segment, arguments)

    def json(self, segment: Segment, value: Any) -> None:
        if value is not None:
            self.text(segment, compact(value))

    def strings(self, segment: Segment, value: Any) -> None:
        for each in strings_in(value, lambda _: None):
            self.text(segment, each)

    def tool(self, definition: Any) -> None:
        self.tokens += self._framing.tool + (0 if self._tools else self._framing.tools)
        self._tools = True
        self.json(Segment.TOOLS, definition)

    def opaque(self, *_: Any) -> None:
        raise AssertionError("no request here has any")

    image = document = audio = thinking = listed = opaque


class Gateway:
    """Estimates as the daemon does, from what the replies so far have taught; one model.

    The correction is made anew after every ``every`` replies.
    """

    def __init__(self, every: int = 20) -> None:
        self.settings = EstimatorSettings()
        self._every = every
        self._anchors: dict[bytes, Anchor] = {}
        self._samples: list[Sample] = []

    def estimate(self, reader: Reader, asked: "Asked") -> Estimate:
        """Size a request by its anchor, else by ratio."""
        anchored = self._recalled(reader, asked)
        if anchored is not None:
            found = by_anchor(asked.shape, asked.measured, anchored, self.settings)
            if found is not None:
                return found
        return by_ratio(asked.shape, asked.measured, self.settings)

    def _recalled(self, reader: Reader, asked: "Asked") -> Anchored | None:
        known = self._anchors.get
        return recalled(reader, asked.body, KEY, ["m"], lambda _, it: known(it)).get("m")

    def replied(self, reader: Reader, asked: "Asked") -> None:
        """Learn from the reply to a request."""
        sample = sample_of(
            asked.shape,
            asked.measured,
            self.settings,
            asked.tokens,
            self._recalled(reader, asked),
        )
        digest = prefixes(reader, asked.body, KEY)[-1]
        self._anchors[digest] = anchor_of(
            asked.shape, asked.measured, self.settings, asked.tokens, asked.output
        )
        assert sample is not None
        self._samples.append(sample)
        if len(self._samples) % self._every == 0 or len(self._samples) == 1:
            observed = observe(self._samples)
            self.settings = EstimatorSettings(observed=observed)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the gateway reads it, with what its reply metered.

    ``turn`` counts from 0; ``kind`` is that of most of its text.
    """

    body: bytes
    shape: RequestShape
    measured: Measured
    tokens: int
    output: int
    turn: int
    kind: str


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation is like: ranges are of characters, ``tools`` is how many there are."""

    kinds: tuple[str, ...]
    system: tuple[int, int] = (200, 4_000)
    tools: int = 0
    given: tuple[int, int] = (60, 3_000)
    replied: tuple[int, int] = (40, 1_500)
    turns: int = 8
    protocol: WireProtocol = WireProtocol.CHAT_COMPLETIONS


CHAT: Final = Style(kinds=("prose",), system=(0, 600), given=(30, 900), replied=(80, 2_000))
"""A person with a model: the requests are small, so every token is a large part."""

AGENT: Final = Style(
    kinds=("prose", "code", "json", "cjk"),
    system=(4_000, 20_000),
    tools=12,
    given=(200, 12_000),
    replied=(40, 2_500),
)
"""An agent at work: files and results of tools of any kind."""


def conversation(provider: Provider, style: Style, rng: random.Random) -> Iterator[Asked]:
    """Yield the requests of a conversation, each with all that was said before it."""
    reader = READERS[style.protocol]
    turns: list[dict[str, Any]] = []
    system = text(rng.choice(style.kinds), rng, rng.randint(*style.system))
    tools = [_tool(rng) for _ in range(style.tools)]
    for turn in range(style.turns):
        kind = rng.choice(style.kinds)
        turns.append({"role": "user", "content": text(kind, rng, rng.randint(*style.given))})
        body = _body(style.protocol, system, turns, tools)
        reply = text(rng.choice(style.kinds), rng, rng.randint(*style.replied))
        yield asked(provider, reader, body, kind=kind, turn=turn, output=provider.count(reply))
        turns.append({"role": "assistant", "content": reply})


def asked(
    provider: Provider, reader: Reader, body: bytes, *, kind: str, turn: int = 0, output: int = 0
) -> Asked:
    """Return a request with what is read of it and what it is metered as."""
    return Asked(
        body=body,
        shape=reader.shape(body),
        measured=reader.measure(body),
        tokens=provider.metered(reader, body),
        output=output,
        turn=turn,
        kind=kind,
    )


def _tool(rng: random.Random) -> dict[str, Any]:
    names = text("prose", rng, 400).split()[:4]
    return {
        "name": "_".join(filter(str.isalpha, names)) or "tool",
        "description": text("prose", rng, rng.randint(80, 900)),
        "input_schema": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": text("prose", rng, 60)} for name in names
            },
            "required": names[:1],
        },
    }


def _body(
    protocol: WireProtocol, system: str, turns: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> bytes:
    fields: dict[str, Any]
    if protocol is WireProtocol.MESSAGES:
        fields = {"system": system, "messages": turns, "max_tokens": 1000, "tools": tools}
    else:
        first = [{"role": "system", "content": system}] if system else []
        functions = [{"type": "function", "function": tool} for tool in tools]
        fields = {"messages": [*first, *turns], "tools": functions}
    return msgspec.json.encode({"model": "m", **{k: v for k, v in fields.items() if v}})
