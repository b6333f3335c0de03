import aiohttp
import pytest
from support.upstream import (
    FakeUpstream,
    Fin,
    Hold,
    Rst,
    Step,
    chunked,
    cut,
    delimited,
    head,
    sized,
)
from support.waiting import until

BREAKS = (aiohttp.ClientError, ConnectionError)


@pytest.mark.parametrize(
    "reply", [sized(b"abcdef"), chunked([b"abc", b"def"]), delimited(b"abcdef")]
)
async def test_each_framing_delivers_the_body(reply: list[Step]) -> None:
    """A body with a length, in chunks, or ended by the connection arrives whole."""
    async with FakeUpstream([reply]) as upstream, aiohttp.ClientSession() as http:
        for _ in range(2):
            async with http.get(upstream.base_url) as response:
                assert await response.read() == b"abcdef"
        assert len(upstream.requests) == 2


async def test_requests_are_recorded_byte_for_byte() -> None:
    """Head and body are kept as they came, chunk framing apart; connections are counted."""
    async with FakeUpstream([sized(b"{}")]) as upstream, aiohttp.ClientSession() as http:
        async with http.post(f"{upstream.base_url}/a?b=c", data=b"x\r\ny", headers={"K": "v"}):
            assert upstream.connections == 1
        request = upstream.requests[0]
        assert (request.target, request.body, request.header("k")) == ("/a?b=c", b"x\r\ny", b"v")
        assert b"\r\nK: v\r\n" in request.head


@pytest.mark.parametrize("end", [Fin(), Rst()])
async def test_cuts_at_every_byte(end: Fin | Rst) -> None:
    """However early a reply is cut, the caller never takes it for a whole one."""
    reply = chunked([b"data: 1\n\n", b"data: 2\n\n"])
    size = sum(len(step) for step in reply if isinstance(step, bytes))
    replies = [cut(reply, at, end) for at in range(size)]
    async with FakeUpstream(replies) as upstream, aiohttp.ClientSession() as http:
        # A POST, since aiohttp itself repeats a GET whose connection breaks.
        for _ in replies:
            with pytest.raises(BREAKS):
                async with http.post(upstream.base_url) as response:
                    await response.read()
        assert len(upstream.requests) == size


async def test_a_held_reply_ends_when_the_caller_leaves() -> None:
    """The upstream sees that its caller closed the connection."""
    held: list[Step] = [head(), Hold()]
    async with FakeUpstream([held]) as upstream:
        async with aiohttp.ClientSession() as http:
            response = await http.get(upstream.base_url)
            response.close()
        await until(lambda: upstream.requests[0].abandoned)
