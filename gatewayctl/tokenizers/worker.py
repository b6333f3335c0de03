"""The counting process: reads jobs on its standard input until that ends, one answer for each.

``python -m gatewayctl.tokenizers.worker`` is started by ``counter.Counter`` and by nobody else. It
keeps no request beyond the few bodies that the next job is likely to be about, writes no log, and
tells no one any word of a request.
"""

import contextlib
import os
import signal
import sys
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, assert_never

from gatewayctl.core.errors import CountUnavailable, RequestInvalid
from gatewayctl.core.estimate import Counted
from gatewayctl.protocols.catalog import CODECS, reader_of
from gatewayctl.protocols.prefix import measured_after
from gatewayctl.protocols.reading import read_whole
from gatewayctl.protocols.translation import outgoing
from gatewayctl.tokenizers import frames, huggingface
from gatewayctl.tokenizers.count import count
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
    Reply,
    Rewritten,
    TranslateJob,
)

KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of bodies that are kept for the next job."""

_NICENESS = 5  # requests are forwarded first; a count can wait a little


class Worker:
    """Answers jobs."""

    def __init__(self, jobs: BinaryIO, replies: BinaryIO) -> None:
        self._jobs = jobs
        self._replies = replies
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def run(self) -> None:
        """Answer every job; return at the end of the input."""
        while (job := self._next()) is not None:
            reply = Reply(answer=self._answer(*job), resident=_beyond_tokenizers())
            self._replies.write(frames.frame(reply))
            self._replies.flush()
            del job  # its body may be large, and the next job long in coming

    def _next(self) -> tuple[Job, bytes] | None:
        """Return the next job and its body, None at the end of the input, in a job too."""
        prefix = self._jobs.read(frames.LENGTH)
        data = self._jobs.read(frames.length(prefix))
        if len(prefix) < frames.LENGTH or len(data) < frames.length(prefix):
            return None
        job = frames.JOB.decode(data)
        body = self._jobs.read(job.size or 0)
        return (job, body) if len(body) == (job.size or 0) else None

    def _answer(self, job: Job, body: bytes) -> Answer:
        try:
            if job.size is None:
                return self._again(job)
            self._keep(job.key, body)
            return _done(job, body)
        except RequestInvalid as error:
            return Invalid(message=str(error), path=error.path)
        except Exception as error:  # noqa: BLE001 - one request must not end the process
            return Failed(reason=f"a job of the counting process failed: {type(error).__name__}.")

    def _again(self, job: CountJob | AfterJob | TranslateJob) -> Answer:
        body = None if job.key is None else self._kept.get(job.key)
        return Gone() if body is None else _done(job, body)

    def _keep(self, key: int | None, body: bytes) -> None:
        if key is None:
            return
        self._kept.pop(key, None)
        self._kept[key] = body
        while sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)


def resident_bytes() -> int:
    """Return the memory that this process holds, at its peak where only that is known, or 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _peak_bytes()


def _beyond_tokenizers() -> int:
    """Return the memory held besides the tokenizers of files, which a new process takes again."""
    return max(0, resident_bytes() - huggingface.resident())


def _peak_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _done(job: Job, body: bytes) -> Answer:
    match job:
        case CountJob():
            return _count(job, body)
        case ReadJob():
            reader = reader_of(job.reader)
            return Read(reading=read_whole(reader, body, counting=job.counting, key=job.secret))
        case AfterJob():
            return Measures(added=measured_after(reader_of(job.reader), body, job.skip))
        case TranslateJob():
            client, upstream = CODECS[job.protocol], CODECS[job.upstream]
            return Rewritten(outgoing=outgoing(client, upstream, body, job.target))
        case _:
            assert_never(job)


def _count(job: CountJob, body: bytes) -> Counts:
    counts: dict[str, Counted] = {}
    problem = None
    for vocabulary in job.vocabularies:
        try:
            counts[vocabulary] = count(job.reader, body, vocabulary)
        except CountUnavailable as error:
            problem = str(error)
    return Counts(counts=counts, problem=problem)


def main() -> None:
    """Answer jobs until the daemon closes its end or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon's to act upon
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    # Frames alone go to the standard output; whatever prints, prints to the standard error.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError):  # the daemon ended before it had its answer
        Worker(sys.stdin.buffer, replies).run()
        replies.close()


if __name__ == "__main__":
    main()
