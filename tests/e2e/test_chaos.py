"""The gateway in front of llmock, an upstream nobody here wrote, which fails at random.

``make chaos`` sends thousands of requests and shows the rates; ``make agents`` sends hundreds.
llmock cannot be seeded, so every bound leaves room: a false alarm has less than 1e-4.
"""

import asyncio
import contextlib
import inspect
import itertools
import math
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import aiohttp
import anthropic
import msgspec
import openai
import pytest
from support.processes import Daemon, free_port, serving, upstream

pytestmark = pytest.mark.agents

REQUESTS: Final = int(os.environ.get("GATEWAYCTL_CHAOS_REQUESTS", "60"))
"""Requests of each kind: three protocols, streamed and not."""
NUMBERS: Final = itertools.count()
KINDS: Final = tuple(
    (protocol, stream)
    for protocol in ("chat_completions", "responses", "messages")
    for stream in (False, True)
)
AT_ONCE: Final = 16
LONGEST: Final = 60.0
"""Seconds; an answer takes milliseconds, each wait for a rate limit one second."""

CANDIDATES: Final = {"first": "a", "second": "b", "third": "c"}
"""Providers, and each one's model: llmock takes the same body twice for a retry."""
ERRORS: Final = {429: 0.04, 500: 0.12, 502: 0.08, 503: 0.1, 529: 0.06}
FAILING: Final = sum(ERRORS.values())
"""The probability that a call fails before it is answered."""
MOVED_ON: Final = (ERRORS[500] + ERRORS[502] + ERRORS[429]) * FAILING + ERRORS[503] + ERRORS[529]
"""The probability that a candidate fails for good: the first three are retried on the spot."""
EXACT: Final = 1 - MOVED_ON**2 * FAILING**2
"""What the policy makes of three candidates, the last of which is always retried."""
BREAKS: Final = {"disconnect": 0.1, "truncate": 0.1, "malformed": 0.1, "stall": 0.1}
"""Of a stream: anywhere from before its first to after its fifth event."""

ROUND: Final = 1200
"""Requests between two looks at llmock's record, which holds the last 10,000 calls."""


class End(StrEnum):
    """How a request ended. Whatever is none of these is a defect."""

    ANSWERED = "answered"
    REFUSED = "refused"
    BROKEN = "broken"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One request's end and how many attempts its reply speaks of."""

    end: End
    attempts: int


class Watched(msgspec.Struct, kw_only=True):
    """How many requests ended, and what llmock has on record of them.

    ``faulty`` are calls that it made fail. ``wrong`` is what it holds against its caller: an
    ignored Retry-After, a retry that cannot help, too many of them, half an answer taken for a
    whole one.
    """

    seen: list[Seen] = []
    calls: int = 0
    faulty: int = 0
    wrong: list[str] = []

    def rate(self, end: End) -> float:
        """Return the share of the requests that ended so."""
        return sum(each.end is end for each in self.seen) / len(self.seen)

    def show(self, name: str) -> None:
        """Print one line of the table."""
        ends = Counter(each.end for each in self.seen)
        tried = sum(each.attempts for each in self.seen) / len(self.seen)
        counts = ", ".join(f"{ends[end]} {end.value}" for end in End if ends[end])
        share = f"{self.rate(End.ANSWERED):7.2%} of {len(self.seen)}"
        sys.stdout.write(f"{name:<28} {share} ({counts}), {tried:.2f} calls each\n")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway in front of llmock, whose own address is ``upstream``."""

    daemon: Daemon
    upstream: str

    async def run(self, model: str, *, direct: bool = False, streams: bool = False) -> Watched:
        """Send ``REQUESTS`` requests of each kind, some at once, past the gateway if ``direct``."""
        url = self.upstream if direct else self.daemon.url
        clients = Clients(url, f"{url}/anthropic" if direct else url)
        kinds = [kind for kind in KINDS if kind[1] or not streams] * REQUESTS
        gate = asyncio.Semaphore(AT_ONCE)
        watched = Watched()

        async def one(protocol: str, *, stream: bool) -> Seen:
            async with gate:
                return await clients.one(protocol, model, stream=stream)

        for first in range(0, len(kinds), ROUND):
            sending = (one(name, stream=it) for name, it in kinds[first : first + ROUND])
            watched.seen += await asyncio.gather(*sending)
            await self._look(watched)
        await clients.close()
        return watched

    async def _look(self, watched: Watched) -> None:
        """Take down what llmock has on record, and let it forget it."""
        async with aiohttp.ClientSession(f"{self.upstream}/_llmock/") as session:
            async with session.get("requests") as reply:
                calls = (await reply.json())["requests"]
            async with session.get("verdict") as reply:
                findings = (await reply.json())["findings"]
            async with session.delete("requests") as reply:
                assert reply.status == 200
        watched.calls += len(calls)
        watched.faulty += sum(bool(call["fault"]) for call in calls)
        watched.wrong += [it["title"] for it in findings if it["severity"] == "error"]


def config(url: str) -> str:
    """Return two cascades of three models at three providers, all of them at the same upstream.

    llmock has the Messages protocol in a place of its own, so that it takes other providers.
    """
    return (
        '[server]\nlog_level = "warning"\n'
        + "".join(
            f"""
[providers.{name}-openai]
kind = "openai-compatible"
base_url = "{url}/v1"
protocols = ["chat_completions", "responses"]
timeouts = {{ idle = "1s" }}
[providers.{name}-anthropic]
kind = "anthropic-compatible"
base_url = "{url}/anthropic"
timeouts = {{ idle = "1s" }}
"""
            for name in CANDIDATES
        )
        + "".join(
            f'\n[[cascades]]\nid = "chain-{side}"\n'
            + "".join(
                f'[[cascades.steps]]\nmodel = "{name}-{side}/{model}"\n'
                for name, model in CANDIDATES.items()
            )
            for side in ("openai", "anthropic")
        )
    )


@contextlib.asynccontextmanager
async def setting(python: Path, folder: Path, *faults: str) -> AsyncIterator[Setting]:
    """Run llmock with these faults, and the gateway in front of it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [python, "-m", "llmock.cli", "serve", "--port", str(port)]
    command += ["--log-level", "critical", *faults]
    home = folder / "llmock"
    home.mkdir()
    async with upstream(command, f"{url}/health", home), serving(config(url), folder) as daemon:
        yield Setting(daemon=daemon, upstream=url)


def error_rates() -> Iterator[str]:
    """Return llmock's options for errors before an answer."""
    for status, rate in ERRORS.items():
        yield from ("--error-rate", f"{status}={rate}")


def breaks() -> Iterator[str]:
    """Return llmock's options for streams that break; a stall outlasts the idle timeout."""
    for kind, rate in BREAKS.items():
        yield from ("--stream-fault", f"{kind}={rate}")
    yield from ("--stream-stall-seconds", "3")


class Clients:
    """Both official SDKs, without retries of their own; ``messages`` is the base of the second."""

    def __init__(self, url: str, messages: str) -> None:
        self.openai = openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="sk-test", max_retries=0, timeout=LONGEST
        )
        self.anthropic = anthropic.AsyncAnthropic(
            base_url=messages, api_key="sk-test", max_retries=0, timeout=LONGEST
        )

    async def one(self, protocol: str, model: str, *, stream: bool) -> Seen:
        """Send one request and read its reply to the end; anything untyped is raised.

        ``{}`` in the name of the model stands for the maker of the SDK.
        """
        attempts = 0
        ask = {"chat_completions": self._chat, "responses": self._responses}
        try:
            async with asyncio.timeout(LONGEST):
                prompt = f"Say a few words to me, please: number {next(NUMBERS)}."
                raw = await ask.get(protocol, self._messages)(model, prompt, stream=stream)
                attempts = int(raw.headers.get("x-gatewayctl-attempts", "1"))
                parsed = raw.parse()  # a coroutine in one SDK, a value in the other
                parsed = await parsed if inspect.isawaitable(parsed) else parsed
                end = await _end(protocol, parsed, stream=stream)
        except (openai.APIStatusError, anthropic.APIStatusError) as refused:
            if attempts:  # the SDK of Anthropic raises it for errors in a stream too
                return Seen(end=_typed(End.BROKEN, refused.body), attempts=attempts)
            told = refused.response.headers.get("x-gatewayctl-attempts", "1")
            return Seen(end=_typed(End.REFUSED, refused.body), attempts=int(told))
        except (openai.APIError, anthropic.APIError) as broken:
            return Seen(end=_typed(End.BROKEN, broken.body), attempts=attempts)
        return Seen(end=end, attempts=attempts)

    async def _chat(self, model: str, prompt: str, *, stream: bool) -> Any:
        create: Any = self.openai.chat.completions.with_raw_response.create
        return await create(model=model.format("openai"), messages=_turns(prompt), stream=stream)

    async def _responses(self, model: str, prompt: str, *, stream: bool) -> Any:
        create: Any = self.openai.responses.with_raw_response.create
        return await create(model=model.format("openai"), input=prompt, stream=stream)

    async def _messages(self, model: str, prompt: str, *, stream: bool) -> Any:
        create: Any = self.anthropic.messages.with_raw_response.create
        name = model.format("anthropic")
        return await create(model=name, max_tokens=200, messages=_turns(prompt), stream=stream)

    async def close(self) -> None:
        """Close the connections."""
        await self.openai.close()
        await self.anthropic.close()


def _turns(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _typed(end: End, body: object) -> End:
    """Return the end of a request whose error says what it is; without a body it is untyped."""
    assert isinstance(body, dict), f"an untyped error: {body!r}"
    error = body.get("error", body)
    assert error.get("message"), f"an error without a message: {body!r}"
    assert error.get("type") or error.get("code"), f"an error without a type: {body!r}"
    return end


async def _end(protocol: str, parsed: Any, *, stream: bool) -> End:
    """Read a reply to its end; one that just ends, without its protocol's sign, is a defect."""
    if not stream:
        assert parsed.choices if protocol == "chat_completions" else parsed.id
        return End.ANSWERED
    last: Any = None
    async for event in parsed:
        if protocol != "chat_completions" or any(it.finish_reason for it in event.choices):
            last = event
    if protocol == "responses" and last.type == "response.failed":
        return _typed(End.BROKEN, last.response.error.model_dump())
    proper = {"responses": "response.completed", "messages": "message_stop"}
    assert last is not None, f"{protocol}: the stream ended without its end"
    assert protocol == "chat_completions" or last.type == proper[protocol], last
    return End.ANSWERED


def sigma(share: float, number: int) -> float:
    """Return the standard deviation of a rate that was measured ``number`` times."""
    return math.sqrt(share * (1 - share) / number)


async def test_a_cascade_answers_what_single_models_cannot(
    faulty_upstream: Path, tmp_path: Path
) -> None:
    """Each call fails with p = 0.4; three candidates answer at least 1 - p³ of all requests.

    Retries come on top, so that hardly 1 % fail, and the breakers that open all the while cost
    nothing of that. Every attempt that a reply speaks of was a call, and every call is one that a
    reply speaks of. llmock, which judges its callers, finds nothing wrong.
    """
    async with setting(faulty_upstream, tmp_path, *error_rates()) as world:
        raw = await world.run("a", direct=True)
        single = await world.run("first-{}/a")
        cascade = await world.run("chain-{}")
    bound = 1 - FAILING ** len(CANDIDATES)
    sys.stdout.write(
        f"\nEvery call fails with p = {FAILING:.2f}; 1 - p^3 = {bound:.2%}; {EXACT:.2%} by policy\n"
    )
    raw.show("llmock alone")
    single.show("the gateway, one model")
    cascade.show("the gateway, a cascade")
    number = len(raw.seen)
    # Five sigma: llmock has to fail as often as it is told to, or nothing is shown here.
    assert abs(raw.rate(End.REFUSED) - FAILING) < 5 * sigma(FAILING, number)
    assert cascade.rate(End.ANSWERED) >= bound - 3 * sigma(bound, number)
    assert cascade.rate(End.ANSWERED) >= EXACT - 4.5 * sigma(EXACT, number)
    rescued = 1 - FAILING**2  # each of these failures is retried once where there is no other way
    assert abs(single.rate(End.ANSWERED) - rescued) < 4.5 * sigma(rescued, number)
    for watched in (single, cascade):
        assert sum(each.attempts for each in watched.seen) == watched.calls
        assert watched.wrong == []


async def test_streams_that_break_are_rescued_before_their_commit_and_typed_after_it(
    faulty_upstream: Path, tmp_path: Path
) -> None:
    """Two in five streams are cut, broken or stalled early on: none hangs or looks complete.

    Where nothing was committed, the next candidate answers, so hardly any is refused.
    """
    async with setting(faulty_upstream, tmp_path, *breaks()) as world:
        watched = await world.run("chain-{}", streams=True)
    watched.show("the gateway, broken streams")
    broken = sum(BREAKS.values())
    assert abs(watched.faulty / watched.calls - broken) < 5 * sigma(broken, watched.calls)
    assert sum(each.attempts for each in watched.seen) == watched.calls
    bound = broken ** len(CANDIDATES)
    assert watched.rate(End.REFUSED) <= bound + 3 * sigma(bound, len(watched.seen))
    assert sum(each.end is End.BROKEN for each in watched.seen) < watched.faulty, "none was rescued"
