"""The daemon's counting process: exact answers while it lives, and none lost but exactness."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gatewayctl.core.errors import CountUnavailable, RequestInvalid
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.prefix import measured_after, prefixes
from gatewayctl.protocols.readers import READERS
from gatewayctl.protocols.reading import read_whole
from gatewayctl.tokenizers.count import count
from gatewayctl.tokenizers.counter import ENVIRONMENT, Counter, Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = WireProtocol.CHAT_COMPLETIONS
ONE = ("cl100k_base",)


def body(text: str = "How many?", **members: Any) -> bytes:
    """Return a chat request that says a text."""
    said = {"model": "m", "messages": [{"role": "user", "content": text}], **members}
    return json.dumps(said).encode()


LARGE = body("one two three four five. " * 40_000)
BODIES = {
    WireProtocol.CHAT_COMPLETIONS: body(max_tokens=5),
    WireProtocol.RESPONSES: b'{"model":"m","instructions":"Count.","input":"How many?"}',
    WireProtocol.MESSAGES: b'{"model":"m","max_tokens":9,"system":"Count.",'
    b'"messages":[{"role":"user","content":"How many?"}]}',
    WireProtocol.GEMINI: b'{"model":"models/m",'
    b'"contents":[{"role":"user","parts":[{"text":"How many?"}]}]}',
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Counter]:
    """Yield a counter for the tests that do it no harm."""
    counter = Counter()
    yield counter
    await counter.close()


@asynccontextmanager
async def own(**limits: Any) -> AsyncIterator[Counter]:
    """Yield a started counter of the test's own."""
    counter = Counter(Limits(**limits))
    await counter.count(CHAT, body(), ONE)
    try:
        yield counter
    finally:
        await counter.close()


def stopped(counter: Counter) -> int:
    """Stop the process in its tracks, so that the next job stays unanswered; return its id."""
    pid = running(counter)
    os.kill(pid, signal.SIGSTOP)
    return pid


def running(counter: Counter) -> int:
    """Return the process's id."""
    assert counter.pid is not None
    return counter.pid


def environment(pid: int) -> set[str]:
    """Return the names in a process's environment."""
    entries = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    return {entry.split("=")[0] for entry in entries if entry}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that comes true by itself."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells of a process that was killed
            await asyncio.sleep(0.005)


async def asked(counter: Counter, text: bytes, kill: int | None = None) -> "asyncio.Task[Any]":
    """Return a count that a stopped process was given; then ``kill`` that process."""
    task = asyncio.create_task(counter.count(CHAT, text, ONE))
    await asyncio.sleep(0.02)
    assert not task.done()
    if kill is not None:
        os.kill(kill, signal.SIGKILL)
    return task


@pytest.mark.parametrize("protocol", BODIES)
async def test_counts_are_exact_in_every_protocol(shared: Counter, protocol: WireProtocol) -> None:
    """The process counts as this one would, with each vocabulary asked for."""
    names = ("o200k_base", "cl100k_base")
    counts = await shared.count(protocol, BODIES[protocol], names)
    assert counts == {name: count(protocol, BODIES[protocol], name) for name in names}


@pytest.mark.parametrize("protocol", BODIES)
async def test_readings_are_whole_in_every_protocol(
    shared: Counter, protocol: WireProtocol
) -> None:
    """The process reads as this one would, everything that may be asked for at once."""
    expected = read_whole(READERS[protocol], BODIES[protocol])
    assert await shared.read(protocol, BODIES[protocol]) == expected


@pytest.mark.parametrize("protocol", BODIES)
async def test_what_follows_a_prefix_is_measured_in_every_protocol(
    shared: Counter, protocol: WireProtocol
) -> None:
    """As this process would measure it; the digests come with the reading when there is a key."""
    reader, body = READERS[protocol], BODIES[protocol]
    assert await shared.measured_after(protocol, body, 0) == measured_after(reader, body, 0)
    reading = await shared.read(protocol, body, secret=b"s" * 32)
    assert reading.prefixes == prefixes(reader, body, b"s" * 32)


async def test_a_request_for_a_count_needs_no_budget(shared: Counter) -> None:
    """That a body only asks for a count is passed on."""
    asking = b'{"model":"m","messages":[]}'
    reading = await shared.read(WireProtocol.MESSAGES, asking, counting=True)
    assert reading.shape.output_budget is None


@pytest.mark.parametrize("text", [b'{"model": "m", "messages": [{}, 5]}', b"{", b"\xff" * 9])
async def test_an_invalid_request_is_refused_as_in_this_process(
    shared: Counter, text: bytes
) -> None:
    """The client is told the same place and the same words, whoever read its request."""
    with pytest.raises(RequestInvalid) as expected:
        read_whole(READERS[CHAT], text)
    with pytest.raises(RequestInvalid) as caught:
        await shared.read(CHAT, text)
    assert str(caught.value) == str(expected.value)
    assert caught.value.path == expected.value.path
    with pytest.raises(RequestInvalid):
        await shared.count(CHAT, text, ONE)


async def test_a_vocabulary_that_cannot_be_used_is_said(shared: Counter) -> None:
    """Readiness tells why counts are not exact, until they are again."""
    with pytest.raises(CountUnavailable, match="'none'"):
        await shared.count(CHAT, body(), ["none"])
    assert shared.degraded == "no vocabulary 'none' is packaged."
    assert list(await shared.count(CHAT, body(), ["none", *ONE])) == list(ONE)
    assert shared.degraded is not None
    await shared.count(CHAT, body(), ONE)
    assert shared.degraded is None


@pytest.mark.parametrize("unit", [" ", "a", "\\ud800", "\U0001f600"], ids=ascii)
async def test_a_megabyte_of_anything_is_survived(shared: Counter, unit: str) -> None:
    """No text makes the process crash: it answers the next job as the same process."""
    await shared.count(CHAT, body(), ONE)  # so that it runs, whichever test is the first
    pid = shared.pid
    text = body("?").replace(b"?", unit.encode() * (1_000_000 // len(unit.encode())))
    try:
        await shared.count(CHAT, text, ("o200k_base",))
    except RequestInvalid:
        assert unit == "\\ud800"  # half a character, which no JSON parser need take
    assert shared.pid == pid


async def test_each_of_many_at_once_gets_its_own_answer(shared: Counter) -> None:
    """Answers are not mixed up, however many ask at once."""
    texts = [body("word " * number) for number in range(1, 41)]
    counts = await asyncio.gather(*(shared.count(CHAT, text, ONE) for text in texts))
    assert [dict(found) for found in counts] == [
        {"cl100k_base": count(CHAT, text, "cl100k_base")} for text in texts
    ]


async def test_a_large_body_is_sent_once(shared: Counter) -> None:
    """What was sent to be read is counted from what the process kept, or sent again if gone."""
    await shared.read(CHAT, LARGE)
    assert hash(LARGE) in shared._sent
    expected = {"cl100k_base": count(CHAT, LARGE, "cl100k_base")}
    assert await shared.count(CHAT, LARGE, ONE) == expected
    other = LARGE.replace(b"five", b"FIVE")
    shared._sent[hash(other)] = None  # believed to be there, which it is not
    expected = {"cl100k_base": count(CHAT, other, "cl100k_base")}
    assert await shared.count(CHAT, other, ONE) == expected


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to look into")
async def test_the_process_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the daemon's environment, the process gets only what Python needs to start."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    async with own() as counter:
        given = environment(running(counter))
    assert "PATH" in given
    assert given <= ENVIRONMENT


async def test_a_process_killed_while_it_counts_is_replaced() -> None:
    """Killing it costs that one count; the next is exact again, and readiness says so."""
    async with own() as counter:
        pid = stopped(counter)
        task = await asked(counter, LARGE, kill=pid)
        with pytest.raises(CountUnavailable, match="the counting process failed: it ended"):
            await task
        at_first = counter.degraded
        counter._resume = 0.0  # a while later, with no count asked for since
        later = counter.degraded
        assert (at_first, later) == ("the counting process failed: it ended.", None)
        assert await counter.count(CHAT, LARGE, ONE)
        assert counter.pid not in {None, pid}
        assert counter.degraded is None


async def test_a_process_that_died_idle_costs_nothing() -> None:
    """When it was killed between two jobs, the next job starts another."""
    async with own() as counter:
        os.kill(running(counter), signal.SIGKILL)
        await until(lambda: counter.pid is None)
        assert await counter.count(CHAT, body(), ONE)


async def test_after_two_failures_it_is_left_alone_for_a_while() -> None:
    """A process that keeps dying is not started for every request, and then tried again."""
    async with own() as counter:
        task = await asked(counter, LARGE, stopped(counter))
        with pytest.raises(CountUnavailable):
            await task
        task = asyncio.create_task(counter.count(CHAT, LARGE, ONE))
        await until(lambda: counter.pid is not None)
        os.kill(running(counter), signal.SIGKILL)
        with pytest.raises(CountUnavailable):
            await task
        with pytest.raises(CountUnavailable, match="the counting process failed"):
            await counter.count(CHAT, body(), ONE)
        assert counter.pid is None
        counter._resume = 0.0  # the while is over
        assert counter.degraded == "the counting process failed: it ended."
        assert await counter.count(CHAT, body(), ONE)
        assert counter.degraded is None


async def test_a_process_that_hangs_is_replaced() -> None:
    """A job that takes too long is given up, and its process with it."""
    async with own() as counter:
        counter._limits = Limits(timeout=0.2)
        pid = stopped(counter)
        with pytest.raises(CountUnavailable, match="took longer than"):
            await counter.count(CHAT, LARGE, ONE)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        counter._limits = Limits()
        assert await counter.count(CHAT, body(), ONE)


async def test_too_many_jobs_are_refused_at_once() -> None:
    """Over its bound on requests or bytes the queue takes no more; those in it are done."""
    async with own(jobs=2, body_bytes=len(LARGE) + 1_000) as counter:
        pid = stopped(counter)
        waiting = [await asked(counter, body(str(number))) for number in range(3)]
        with pytest.raises(CountUnavailable, match="too many"):
            await counter.count(CHAT, body(), ONE)
        os.kill(pid, signal.SIGCONT)
        assert all(await asyncio.gather(*waiting))
        stopped(counter)
        task = await asked(counter, LARGE)
        with pytest.raises(CountUnavailable, match="too many"):
            await counter.count(CHAT, LARGE, ONE)
        os.kill(pid, signal.SIGCONT)
        assert await task
        assert counter._bytes == 0


async def test_any_number_of_bodies_may_wait_to_be_read() -> None:
    """Their requests hold them anyway, and to read one in the daemon would hold up the loop."""
    async with own(jobs=2, body_bytes=1) as counter:
        pid = stopped(counter)
        reading = [asyncio.create_task(counter.read(CHAT, LARGE)) for _ in range(6)]
        await asyncio.sleep(0)
        with pytest.raises(CountUnavailable, match="too many"):
            await counter.count(CHAT, LARGE, ONE)
        os.kill(pid, signal.SIGCONT)
        assert {it.shape.body_bytes for it in await asyncio.gather(*reading)} == {len(LARGE)}


async def test_who_is_cancelled_does_not_mix_up_the_answers_of_others() -> None:
    """A job whose client left is finished for nobody, or never sent; the next gets its own."""
    async with own() as counter:
        pid = stopped(counter)
        sent = await asked(counter, LARGE)
        queued = await asked(counter, body("queued"))
        last = await asked(counter, body("last of all"))
        for task in (sent, queued):
            task.cancel()
        await asyncio.wait([sent, queued])
        assert len(counter._queue) == 1
        os.kill(pid, signal.SIGCONT)
        expected = {"cl100k_base": count(CHAT, body("last of all"), "cl100k_base")}
        assert await last == expected
        assert counter.pid == pid
        assert counter._bytes == 0


async def test_a_process_that_grows_too_large_is_replaced() -> None:
    """Each process that holds more than the limit is another's predecessor."""
    async with own(resident_bytes=1) as counter:
        assert counter.pid is None
        assert await counter.count(CHAT, LARGE, ONE)
        assert (await counter.read(CHAT, LARGE)).measured
        assert counter.degraded is None


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/nonexistent/python",), "No such file or directory"),
        ((sys.executable, "-c", "print('hello ' * 99)"), "it ended"),
        ((sys.executable, "-c", "import sys; sys.exit(1)"), ""),
    ],
)
async def test_a_process_that_cannot_start_is_said(command: tuple[str, ...], reason: str) -> None:
    """Whatever stands in for the process, the caller gets a reason and goes on without."""
    counter = Counter(command=command)
    with pytest.raises(CountUnavailable, match=f"the counting process failed: .*{reason}"):
        await counter.read(CHAT, LARGE)
    assert counter.degraded is not None
    assert counter.pid is None
    await counter.close()


async def test_closing_gives_up_what_waits_and_ends_the_process() -> None:
    """Nobody is left waiting and no process behind, whatever was under way."""
    async with own() as counter:
        pid = stopped(counter)
        tasks = [await asked(counter, LARGE), await asked(counter, body())]
        await counter.close()
        for task in tasks:
            with pytest.raises(CountUnavailable):
                await task
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        with pytest.raises(CountUnavailable, match="shutting down"):
            await counter.count(CHAT, body(), ONE)


async def test_closing_what_never_started_is_nothing() -> None:
    """A counter that was not needed starts nothing and ends at once."""
    counter = Counter()
    await counter.close()
    assert counter.pid is None
