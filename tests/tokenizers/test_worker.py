"""The counting process answers every job, keeps little, and ends when it should."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.prefix import measured_after, prefixes
from gatewayctl.protocols.readers import READERS
from gatewayctl.protocols.reading import read_whole
from gatewayctl.tokenizers import frames
from gatewayctl.tokenizers import worker as subject
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
)
from gatewayctl.tokenizers.worker import Worker

CHAT = WireProtocol.CHAT_COMPLETIONS
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "How many?"}]}).encode()


def counting(key: int | None = None, *, size: int | None = len(BODY)) -> CountJob:
    """Return a job that counts ``BODY``, or the body that is kept by ``key``."""
    return CountJob(reader=CHAT, vocabularies=("cl100k_base",), size=size, key=key)


def reading(key: int | None = None, *, size: int = len(BODY)) -> ReadJob:
    """Return a job that reads a body."""
    return ReadJob(reader=CHAT, counting=False, size=size, key=key)


def replies(data: bytes) -> Iterator[Reply]:
    """Yield the replies in a process's output."""
    stream = io.BytesIO(data)
    while prefix := stream.read(frames.LENGTH):
        yield frames.REPLY.decode(stream.read(frames.length(prefix)))


def run(*jobs: tuple[Job, bytes], cut: int = 0) -> list[Reply]:
    """Give jobs to a worker in this process; ``cut`` bytes of its input are missing."""
    given = b"".join(frames.frame(job) + body for job, body in jobs)
    output = io.BytesIO()
    Worker(io.BytesIO(given[: len(given) - cut]), output).run()
    return list(replies(output.getvalue()))


def answers(*jobs: tuple[Job, bytes]) -> list[Answer]:
    """Return the answers to jobs."""
    return [reply.answer for reply in run(*jobs)]


def test_each_job_is_answered_in_turn() -> None:
    """Counts and readings are those that this process would make."""
    assert answers((counting(), BODY), (reading(), BODY)) == [
        Counts(counts={"cl100k_base": count(CHAT, BODY, "cl100k_base")}),
        Read(reading=read_whole(READERS[CHAT], BODY)),
    ]


@pytest.mark.parametrize("cut", [1, len(BODY), len(BODY) + 1, len(BODY) + 40])
def test_an_input_that_ends_in_a_job_ends_the_process(cut: int) -> None:
    """When the daemon dies while it sends, the unfinished job has no answer and nothing breaks."""
    assert len(run((reading(), BODY), (reading(), BODY), cut=cut)) == 1


def test_a_body_is_kept_for_the_next_job() -> None:
    """What was sent to be read need not be sent again to be counted."""
    first, second = answers((reading(key=7), BODY), (counting(key=7, size=None), b""))
    assert isinstance(first, Read)
    assert second == Counts(counts={"cl100k_base": count(CHAT, BODY, "cl100k_base")})


@pytest.mark.parametrize("key", [None, 8])
def test_a_body_that_is_not_kept_is_asked_for(key: int | None) -> None:
    """A job about an unknown body is answered with a request for it."""
    assert answers((reading(key=7), BODY), (counting(key, size=None), b""))[1] == Gone()


def test_kept_bodies_are_bounded() -> None:
    """Only the latest bodies are kept, up to a number of bytes."""
    large = BODY.ljust(subject.KEPT_BYTES // 2)
    jobs = [(reading(key=key, size=len(large)), large) for key in (1, 2, 3)]
    asked = [(counting(key=key, size=None), b"") for key in (1, 2, 3)]
    kept = [isinstance(answer, Counts) for answer in answers(*jobs, *asked)[3:]]
    assert kept == [False, True, True]


def test_an_invalid_request_is_told_with_its_place() -> None:
    """What the protocol says about a request's mistake is passed on whole."""
    body = b'{"model": "m", "messages": [5]}'
    (answer,) = answers((reading(size=len(body)), body))
    assert isinstance(answer, Invalid)
    assert answer.path == "$.messages[0]"


def test_one_bad_vocabulary_spares_the_others() -> None:
    """A vocabulary that cannot be used is reported, and the others count."""
    job = CountJob(reader=CHAT, vocabularies=("cl100k_base", "none"), size=len(BODY))
    (answer,) = answers((job, BODY))
    assert isinstance(answer, Counts)
    assert list(answer.counts) == ["cl100k_base"]
    assert answer.problem == "no vocabulary 'none' is packaged."


def test_what_nobody_foresaw_fails_one_job_alone() -> None:
    """An error inside a job is answered by its type, without any word of the request."""
    job = CountJob(reader=WireProtocol.CHAT_COMPLETIONS, vocabularies=("cl100k_base",), size=2)
    failing = Worker(io.BytesIO(frames.frame(job) + b"{}"), output := io.BytesIO())
    failing._keep = None  # type: ignore[assignment, method-assign]
    failing.run()
    (reply,) = replies(output.getvalue())
    assert reply.answer == Failed(reason="a job of the counting process failed: TypeError.")


def test_memory_is_told_with_each_answer() -> None:
    """Every reply says what the process holds: some megabytes, and less than a terabyte."""
    (reply,) = run((reading(), BODY))
    assert 1_000_000 < reply.resident < 1e12


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Start the genuine process."""
    command = [sys.executable, "-P", "-m", "gatewayctl.tokenizers.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


def test_the_process_ignores_an_interrupt_and_ends_with_its_input() -> None:
    """Ctrl-C is the daemon's to act upon; when the daemon is gone, so is the process."""
    with process() as started:
        assert started.stdin is not None
        assert started.stdout is not None
        for _ in range(2):
            started.stdin.write(frames.frame(reading()) + BODY)
            started.stdin.flush()
            size = frames.length(started.stdout.read(frames.LENGTH))
            assert isinstance(frames.REPLY.decode(started.stdout.read(size)).answer, Read)
            started.send_signal(signal.SIGINT)
        started.stdin.close()
        assert started.wait(10) == 0


def test_the_process_ends_quietly_when_nobody_reads_its_answer() -> None:
    """A daemon that died while it waited for an answer leaves no trace on the terminal."""
    with process() as started:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdout.close()
        started.stdin.write(frames.frame(reading()) + BODY)
        started.stdin.close()
        assert started.wait(10) == 0


def test_a_body_is_measured_after_a_prefix_and_read_with_its_digests() -> None:
    """The same as in this process; the secret alone asks for digests, a kept body is used again."""
    turns = [{"role": "user", "content": "How many?"}, {"role": "user", "content": "Three."}]
    body = json.dumps({"model": "m", "messages": turns}).encode()
    read = ReadJob(reader=CHAT, counting=False, size=len(body), key=7, secret=b"s" * 32)
    after = AfterJob(reader=CHAT, skip=1, size=None, key=7)
    reader = READERS[CHAT]
    assert answers((read, body), (after, b"")) == [
        Read(reading=read_whole(reader, body, key=b"s" * 32)),
        Measures(added=measured_after(reader, body, 1)),
    ]
    assert read_whole(reader, body, key=b"s" * 32).prefixes == prefixes(reader, body, b"s" * 32)
    assert read_whole(reader, body).prefixes is None
    assert answers((AfterJob(reader=CHAT, skip=1, size=None, key=8), b"")) == [Gone()]
