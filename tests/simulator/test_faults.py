import asyncio

import pytest
from support import strict
from support.dialects import DIALECTS
from support.faulty import SWITCHES, Told, call

from gatewayctl.simulator import Simulator
from gatewayctl.simulator.faults import FAULTS, described, parse
from gatewayctl.simulator.problems import Refused

HANGING = {"silence", "headers-then-nothing", "stall", "stall-tokens"}
BREAKING = {"reset", "cut-reset", "reset-before-content", "reset-tokens"}
"""A reset may overtake what was sent before it: how much arrives is chance."""
ARGUMENTS = {
    "slow": "0.01", "pace": "0.001", "cut": "200", "cut-reset": "200", "words": "3", "tag": "7",
    "flap": "1000", "429": "4", "overflow": "vllm",
}  # fmt: skip
HARMLESS = {"slow", "pace", "tag", "do-not-retry"}
ONLY_STREAMS = {"no-terminal"}


async def seen(
    simulator: Simulator, protocol: str, fault: str, *, stream: bool, switch: str
) -> Told | None:
    """Return what a fault does, None when that is to say nothing more."""
    calling = asyncio.ensure_future(call(simulator, protocol, fault, stream=stream, switch=switch))
    hangs = fault.partition("=")[0] in HANGING
    done, _ = await asyncio.wait([calling], timeout=0.05 if hangs else 20)
    if not done:
        calling.cancel()
        await asyncio.wait([calling])
        return None
    return calling.result()


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_fault_is_the_same_by_every_switch(
    simulator: Simulator, protocol: str, stream: bool, name: str
) -> None:
    """Header, model name and script do the same thing, and that is not what no fault does."""
    fault = f"{name}={ARGUMENTS[name]}" if name in ARGUMENTS else name
    usual = await seen(simulator, protocol, "", stream=stream, switch="script")
    assert usual is not None
    for switch in SWITCHES:
        told = await seen(simulator, protocol, fault, stream=stream, switch=switch)
        assert (told is None) is (name in HANGING)
        if told is None or name in BREAKING:
            continue
        if name in HARMLESS or (name in ONLY_STREAMS and not stream):
            assert (told.status, told.lasting) == (200, usual.lasting)
        else:
            assert (told.status, told.content_type, told.lasting, told.clean) != (
                200, usual.content_type, usual.lasting, True,
            )  # fmt: skip
        if switch == SWITCHES[0]:
            first = told
        assert (told.status, told.content_type, told.lasting, told.clean) == (
            first.status, first.content_type, first.lasting, first.clean,
        )  # fmt: skip


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("protocol", DIALECTS)
async def test_a_fault_may_hold_for_the_first_calls_only(
    simulator: Simulator, protocol: str, switch: str
) -> None:
    """``500*1`` fails once and is fine from then on, for each model and tag by itself."""

    async def status(fault: str, model: str = "small") -> int | None:
        told = await call(simulator, protocol, fault, stream=False, switch=switch, model=model)
        return told.status

    assert [await status("500*1") for _ in range(3)] == [500, 200, 200]
    assert [await status("500*1", "large") for _ in range(2)] == [500, 200]
    assert [await status("429=9*2,tag=5") for _ in range(3)] == [429, 429, 200]
    assert [await status("429=9*2,tag=6") for _ in range(3)] == [429, 429, 200]
    assert [await status("500*0") for _ in range(2)] == [200, 200]


async def test_faults_come_one_after_another(simulator: Simulator) -> None:
    """Each falls away after its own number of calls, and the last that holds has the last word."""
    statuses = [
        (await call(simulator, "messages", "503*3,500*2,429*1", stream=False)).status
        for _ in range(4)
    ]
    assert statuses == [429, 500, 503, 200]


async def test_a_script_is_for_the_next_calls(simulator: Simulator) -> None:
    """One entry a call, an empty one for none, and no fault when it is over."""
    simulator.script(["500", "", "429=1"])
    statuses = [(await call(simulator, "responses", "", stream=False)).status for _ in range(4)]
    assert statuses == [500, 200, 429, 200]


async def test_the_journal_tells_models_apart_by_their_faults(simulator: Simulator) -> None:
    """A call is on record under the name it asked for, and replies under the bare one."""
    told = await call(simulator, "responses", "tag=4", switch="model", stream=False)
    assert strict.reply("responses", told.body).model == "small"
    await call(simulator, "responses", "tag=5", switch="model", stream=False)
    assert len(simulator.journal.calls(model="small!tag=4")) == 1
    assert [it.model for it in simulator.journal.calls()] == ["small!tag=4", "small!tag=5"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cutt=1", "unknown fault 'cutt'"),
        ("cut=few", "not a number"),
        ("cut=", "not a number"),
        ("cut=-1", "not a number"),
        ("slow=nan", "not a number"),
        ("slow=1e3", "not a number"),
        ("reset=1", "takes no argument"),
        ("overflow=nobody", "none of openai, anthropic"),
        ("500*", "not a number of calls"),
        ("500*x", "not a number of calls"),
    ],
)
async def test_what_is_no_fault_is_refused(simulator: Simulator, text: str, complaint: str) -> None:
    """A misspelt fault is an error by every switch, not silence about it."""
    with pytest.raises(Refused, match=complaint):
        simulator.script([text])
    for switch in ("header", "model"):
        told = await call(simulator, "messages", text, switch=switch)
        assert told.status == 400
        assert complaint.encode() in told.body


def test_faults_are_read_with_arguments_and_counts() -> None:
    """Commas and exclamation marks part them, white space and empty parts do not matter."""
    first, second, third = parse(" 429=2.5*3 , cut!overflow=vllm*1,,")
    assert (first.name, first.arg, first.times) == ("429", "2.5", 3)
    assert (second.name, second.arg, second.times) == ("cut", "", None)
    assert (third.name, third.arg, third.times) == ("overflow", "vllm", 1)


def test_every_fault_is_described() -> None:
    """The list for people has a line for each, with what its argument is."""
    lines = described().splitlines()
    assert len(lines) == len(FAULTS)
    assert all(line.split()[0].partition("=")[0] in FAULTS for line in lines)
    assert any(line.startswith("  slow=<seconds>") for line in lines)


async def test_long_answers_on_demand(simulator: Simulator) -> None:
    """``words`` is no fault: it asks for an answer of that many tokens."""
    told = await call(simulator, "chat_completions", "words=5000", model="large", stream=False)
    assert strict.reply("chat_completions", told.body).usage.completion_tokens == 5000
