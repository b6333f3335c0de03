"""A question is asked once however many want to know, and ends with the last who waits."""

import asyncio

import pytest

from gatewayctl.daemon.flights import KEPT, Flights


class Asked:
    """A question that is answered when the test says so, and counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0
        self.ended = 0
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self) -> int:
        """Wait for the answer."""
        self.times += 1
        try:
            return await asyncio.shield(self.answer)
        finally:
            self.ended += 1


async def test_those_who_ask_at_once_share_one_answer_which_is_kept() -> None:
    """Nor is it asked again afterwards."""
    flights, asked = Flights(), Asked()
    waiting = [asyncio.ensure_future(flights.answer(b"k", asked.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    asked.answer.set_result(7)
    assert await asyncio.gather(*waiting) == [7, 7, 7]
    assert await flights.answer(b"k", asked.ask) == 7
    assert asked.times == 1


async def test_another_question_is_asked_by_itself() -> None:
    """Answers are told apart by the digest alone."""
    flights, asked = Flights(), Asked()
    asked.answer.set_result(7)
    await flights.answer(b"a", asked.ask)
    await flights.answer(b"b", asked.ask)
    assert asked.times == 2


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    """The next one asks anew."""
    flights, asked = Flights(), Asked()
    waiting = [asyncio.ensure_future(flights.answer(b"k", asked.ask)) for _ in range(2)]
    await asyncio.sleep(0)
    asked.answer.set_exception(ValueError("no"))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="no"):
        await flights.answer(b"k", asked.ask)
    assert asked.times == 2


async def test_who_leaves_does_not_take_the_answer_from_others() -> None:
    """Only the last one ends the asking; who comes then is asked for anew, and not cancelled."""
    flights, asked = Flights(), Asked()
    first, second = (asyncio.ensure_future(flights.answer(b"k", asked.ask)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert asked.ended == 0
    second.cancel()
    await asyncio.wait([second])
    third = asyncio.ensure_future(flights.answer(b"k", asked.ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (asked.times, asked.ended) == (2, 1)
    asked.answer.set_result(7)
    assert await third == 7


async def test_what_is_kept_is_bounded() -> None:
    """The last used answers stay."""
    flights, asked = Flights(), Asked()
    asked.answer.set_result(7)
    for number in range(KEPT + 1):
        await flights.answer(b"%d" % number, asked.ask)
        await flights.answer(b"0", asked.ask)
    assert len(flights._answers) == KEPT
    assert asked.times == KEPT + 1
    await flights.answer(b"1", asked.ask)
    assert asked.times == KEPT + 2


async def test_closing_ends_what_is_under_way() -> None:
    """Nothing is left behind when the daemon ends."""
    flights, asked = Flights(), Asked()
    waiting = asyncio.ensure_future(flights.answer(b"k", asked.ask))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await flights.close()
    assert asked.ended == 1
    await asyncio.wait([waiting])
    assert waiting.cancelled()
