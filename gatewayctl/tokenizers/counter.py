"""The daemon's end of the counting process: starts it, gives it jobs one at a time, replaces it.

Counting holds the interpreter's lock and takes 75 MB, reading a large body holds up every other
request: both are done in a process of their own. Whatever happens to it costs exactness, never a
request: every failure here is a ``CountUnavailable``, and the caller goes on without.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import assert_never

import msgspec

from gatewayctl.core.anchors import Added
from gatewayctl.core.errors import CountUnavailable, RequestInvalid
from gatewayctl.core.estimate import Counted
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.codec import Target
from gatewayctl.protocols.reading import Reading
from gatewayctl.protocols.translation import Outgoing
from gatewayctl.tokenizers import frames
from gatewayctl.tokenizers.frames import (
    AfterJob,
    Answer,
    CountJob,
    Counts,
    Failed,
    Gone,
    Invalid,
    Job,
    Measures,
    Read,
    ReadJob,
    Rewritten,
    TranslateJob,
)

__all__ = ["CountUnavailable", "Counter", "Limits"]

_SLICE = 128 * 1024  # bytes that are written at once: about 0.1 ms
_GRACE = 2.0  # seconds that an idle process is given to end by itself

# Bodies that may be asked about twice: worth a key (hashing takes 0.15 ms per MB), and kept.
_KEYED_FROM = 256 * 1024
_KEYED_TO = 16 * 1024 * 1024
_KEYS = 16

ENVIRONMENT = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "TEMP"}
)
"""What a process needs of the environment: where Python and its modules are, nothing secret."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the process may take.

    ``jobs`` and ``body_bytes`` may wait at once to be counted (a body of any size when none waits);
    to be read or translated, any: who does that itself holds up everybody. A job may take
    ``timeout`` seconds; a process of ``resident_bytes`` is replaced after its job; after two
    failures in a row the next process is started no sooner than ``pause`` seconds later.
    """

    jobs: int = 64
    body_bytes: int = 64 * 1024 * 1024
    timeout: float = 10.0
    resident_bytes: int = 512 * 1024 * 1024
    pause: float = 30.0


class _Waiting:
    """A job, its body, and where its answer goes."""

    def __init__(self, job: Job, body: bytes) -> None:
        self.job = job
        self.body = body
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Counter:
    """Counts and reads requests in the counting process, started when first needed.

    Use within one event loop; ``close`` when done.
    """

    def __init__(
        self, limits: Limits | None = None, command: tuple[str, ...] | None = None
    ) -> None:
        limits = limits or Limits()
        self._limits = limits
        self._command = command or (
            sys.executable,
            "-P",  # nothing is imported from the folder the daemon was started in
            "-m",
            "gatewayctl.tokenizers.worker",
        )
        self._process: asyncio.subprocess.Process | None = None
        self._sent: OrderedDict[int, None] = OrderedDict()  # keys of bodies the process has
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self._failures = 0
        self._resume = 0.0
        self._closed = False
        self._process_problem: str | None = None
        self._vocabulary_problem: str | None = None

    @property
    def degraded(self) -> str | None:
        """Why counts are not exact now, None when they are (or none was asked for yet).

        One lost process is forgotten after a pause, since the next is likely to work.
        """
        lasting = self._failures > 1 or time.monotonic() < self._resume
        return (self._process_problem if lasting else None) or self._vocabulary_problem

    @property
    def pid(self) -> int | None:
        """The process's id, None when there is none."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def count(
        self, reader: str, body: bytes, vocabularies: Iterable[str]
    ) -> Mapping[str, Counted]:
        """Return the count of a body with each vocabulary that can be used.

        Raises ``RequestInvalid`` as ``shape`` does, and ``CountUnavailable`` when there is none.
        """
        names = tuple(sorted(set(vocabularies)))
        job = CountJob(reader=reader, vocabularies=names, size=len(body), key=_key(body))
        match await self._submit(job, body):
            case Counts(counts=counts, problem=problem):
                if problem is not None and not counts:
                    raise CountUnavailable(problem)
                return counts
            case answer:
                raise _unexpected(answer)

    async def read(
        self,
        reader: str,
        body: bytes,
        *,
        counting: bool = False,
        secret: bytes | None = None,
    ) -> Reading:
        """Return all that is read of a body, its measure included.

        ``secret`` keys the digests of its prefixes, None leaves them out. Raises
        ``RequestInvalid`` as ``shape`` does, and ``CountUnavailable``.
        """
        job = ReadJob(
            reader=reader, counting=counting, size=len(body), key=_key(body), secret=secret
        )
        match await self._submit(job, body):
            case Read(reading=reading):
                return reading
            case answer:
                raise _unexpected(answer)

    async def measured_after(self, reader: str, body: bytes, skip: int | None) -> Added:
        """Return the measure of the messages after the first ``skip``, None: of the last turn.

        Raises ``RequestInvalid`` as ``shape`` does, and ``CountUnavailable``.
        """
        job = AfterJob(reader=reader, skip=skip, size=len(body), key=_key(body))
        match await self._submit(job, body):
            case Measures(added=added):
                return added
            case answer:
                raise _unexpected(answer)

    async def translated(
        self, protocol: WireProtocol, upstream: WireProtocol, body: bytes, target: Target
    ) -> Outgoing:
        """Return a request as it is written in another protocol.

        Raises ``RequestInvalid`` for what cannot be said there, and ``CountUnavailable``.
        """
        job = TranslateJob(
            protocol=protocol, upstream=upstream, target=target, size=len(body), key=_key(body)
        )
        match await self._submit(job, body):
            case Rewritten(outgoing=outgoing):
                return outgoing
            case answer:
                raise _unexpected(answer)

    async def close(self) -> None:
        """End the process and wait for it; jobs that wait are given up."""
        self._closed = True
        pump = self._pump
        if pump is not None:
            pump.cancel()
            await asyncio.wait([pump])
        for waiting in self._queue:
            _fail(waiting, "gatewayctl is shutting down.")
        self._queue.clear()
        await self._end(at_once=pump is not None)

    async def _submit(self, job: Job, body: bytes) -> Answer:
        self._admit(job, len(body))
        waiting = _Waiting(job, body)
        self._queue.append(waiting)
        self._bytes += len(body)
        if self._pump is None:
            self._pump = asyncio.create_task(self._work(), name="counting")
        try:
            return await waiting.answer
        finally:
            if waiting in self._queue:  # whoever asked was cancelled; nothing was sent yet
                self._queue.remove(waiting)
            self._bytes -= len(body)

    def _admit(self, job: Job, size: int) -> None:
        """Raise ``CountUnavailable`` for what could not be answered soon."""
        if self._closed:
            raise CountUnavailable("gatewayctl is shutting down.")
        self._check_pause()
        if isinstance(job, ReadJob | TranslateJob):
            return
        full = self._bytes > 0 and self._bytes + size > self._limits.body_bytes
        if full or len(self._queue) >= self._limits.jobs:
            raise CountUnavailable("too many requests wait for the counting process.")

    def _check_pause(self) -> None:
        """Raise ``CountUnavailable`` while no process is started, after too many have failed."""
        if self._failures > 1 and time.monotonic() < self._resume:
            raise CountUnavailable(self._process_problem or "")

    async def _work(self) -> None:
        """Do the jobs in turn; end when none waits."""
        try:
            while self._queue:
                await self._answered(self._queue.popleft())
        finally:
            self._pump = None

    async def _answered(self, waiting: _Waiting) -> None:
        """Do one job; once begun it is done to its end for nobody, so that frames stay in step."""
        if waiting.answer.done():
            return
        try:
            self._check_pause()
            answer = await self._done(waiting.job, waiting.body)
        except CountUnavailable as error:
            _fail(waiting, str(error))
        else:
            self._succeeded(answer)
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        finally:
            _fail(waiting, "the counting process was given up.")  # unless it has its answer

    async def _done(self, job: Job, body: bytes) -> Answer:
        """Return the process's answer; raise ``CountUnavailable`` when it gives none."""
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await self._asked(job, body)
        except TimeoutError:
            problem = f"the counting process took longer than {self._limits.timeout:g} s."
        except (OSError, EOFError, RuntimeError, msgspec.DecodeError) as error:
            # RuntimeError: what uvloop says of a pipe whose other end has gone
            problem = f"the counting process failed: {_cause(error)}."
        self._failures += 1
        self._resume = time.monotonic() + self._limits.pause
        self._process_problem = problem
        await self._end(at_once=True)
        raise CountUnavailable(problem)

    async def _asked(self, job: Job, body: bytes) -> Answer:
        process = await self._running()
        if not isinstance(job, ReadJob) and job.key in self._sent:
            again = msgspec.structs.replace(job, size=None)
            answer = await self._exchange(process, again, b"")
            if not isinstance(answer, Gone):
                return answer
        if job.key is not None:
            self._sent[job.key] = None
            if len(self._sent) > _KEYS:
                self._sent.popitem(last=False)
        return await self._exchange(await self._running(), job, body)

    async def _exchange(self, process: asyncio.subprocess.Process, job: Job, body: bytes) -> Answer:
        """Send one job, a slice at a time so that others get their turn, and read its answer."""
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(frames.frame(job))
        view = memoryview(body)
        for start in range(0, len(body), _SLICE):
            process.stdin.write(view[start : start + _SLICE])
            await process.stdin.drain()
            await asyncio.sleep(0)
        size = frames.length(await process.stdout.readexactly(frames.LENGTH))
        reply = frames.REPLY.decode(await process.stdout.readexactly(size))
        if reply.resident > self._limits.resident_bytes:
            await self._end(at_once=False)
        return reply.answer

    async def _running(self) -> asyncio.subprocess.Process:
        """Return the process, started anew if there is none or it has ended."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end(at_once=True)
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in ENVIRONMENT & os.environ.keys()},
            start_new_session=True,  # so that Ctrl-C is the daemon's alone
        )
        return self._process

    async def _end(self, *, at_once: bool) -> None:
        """End the process, if there is one, and wait until it is gone.

        It is forgotten only then: who cancels this can still end it.
        """
        process = self._process
        self._sent.clear()
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if not at_once:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self._process = None

    def _succeeded(self, answer: Answer) -> None:
        self._failures, self._process_problem = 0, None
        match answer:
            case Counts(problem=problem) | Failed(reason=problem):
                self._vocabulary_problem = problem
            case _:
                return


def _cause(error: Exception) -> str:
    match error:
        case EOFError() | ConnectionError():
            return "it ended"
        case OSError(strerror=str() as text):
            return text
        case _:
            return type(error).__name__


def _fail(waiting: _Waiting, reason: str) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(CountUnavailable(reason))


def _unexpected(answer: Answer) -> Exception:
    """Return what to raise for an answer that is not the one hoped for."""
    match answer:
        case Invalid(message=message, path=path):
            return RequestInvalid(message, path)
        case Failed(reason=reason):
            return CountUnavailable(reason)
        case Gone() | Counts() | Read() | Measures() | Rewritten():
            return CountUnavailable("the counting process answered another question.")
        case _:
            assert_never(answer)


def _key(body: bytes) -> int | None:
    """Return what a body that may be asked about again is known by (random for each daemon)."""
    return hash(body) if _KEYED_FROM <= len(body) <= _KEYED_TO else None
