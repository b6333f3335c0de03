"""What replies taught, as ``models show`` tells and ``models forget`` forgets it."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.terminal import gatewayctl

from gatewayctl.core.anchors import Anchor
from gatewayctl.core.correction import GROUPS, Sample
from gatewayctl.core.learning import Cap, Cause, Truncation
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols.prefix import prefixes
from gatewayctl.protocols.readers import READERS
from gatewayctl.storage.knowledge import Knowledge, read

MODEL = "anthropic/claude-haiku-4-5"
CAP = Cap(
    window=178_528,
    at="2026-06-01T00:00:00Z",
    evidence="HTTP 400; it named a limit of 178,528",
    cause=Cause.REFUSED,
    over=200_000,
)
CUT = Truncation(at="2026-06-02T00:00:00Z", metered=4095, low=9000)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Give the commands a config, a cache and a state of their own."""
    assert not folder.exists()
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def teach(folder: Path, *lessons: Callable[[Knowledge], None]) -> None:
    """Let a daemon's knowledge learn these, and end."""

    async def run() -> None:
        knowledge = Knowledge.open(folder, time.time, observe_every=0)
        for lesson in lessons:
            lesson(knowledge)
        await knowledge.close()

    asyncio.run(run())


def sampled(count: int) -> Callable[[Knowledge], None]:
    """Return a lesson of so many replies, a tenth larger than usual."""

    def lesson(knowledge: Knowledge) -> None:
        for number in range(count):
            words = 1000 * (100 + number)
            features = (words, *[0] * (len(GROUPS) - 2), 3000)
            knowledge.sampled(MODEL, Sample(features=features, tokens=words // 909))

    return lesson


def shown(*argv: str, status: int = 0) -> Any:
    """Run ``gatewayctl models ARGV --json`` and return the document."""
    ran = gatewayctl("models", *argv, "--json")
    assert ran.status == status, ran.err
    return json.loads(ran.out)


def test_a_learned_window_caps_what_is_listed_and_the_sum_is_in_words(folder: Path) -> None:
    """What is said, what was learned and since when; the smaller one is effective."""
    teach(folder, lambda known: known.learned(MODEL, CAP))
    out = gatewayctl("models", "show", MODEL).out
    assert "effective window 178,528 = min(200,000 (models_dev, " in out
    assert ", 178,528 learned (" in out
    assert "learned          178,528 (2026-06-01, " in out
    assert ", 200,000 believed then)" in out
    assert "HTTP 400; it named a limit of 178,528" in out
    assert f"gatewayctl models forget {MODEL}" in out
    told = shown("show", MODEL)
    assert told["effective_window"]["value"] == told["ceiling"] == 178_528
    assert [(each["kind"], each["value"]) for each in told["effective_window"]["of"]] == [
        ("listed", 200_000),
        ("learned", 178_528),
    ]
    assert (told["learned"]["value"], told["learned"]["source"]) == (178_528, "learned")
    learned = told["cap"]
    assert (learned["window"], learned["cause"], learned["holds"]) == (178_528, "refused", True)


def test_a_cap_of_another_window_than_the_sources_now_say_is_void(folder: Path) -> None:
    """It is told as such, and takes nothing off the window."""
    void = Cap(window=90_000, at=CAP.at, evidence="", cause=Cause.REFUSED, over=100_000)
    teach(folder, lambda known: known.learned(MODEL, void))
    out = gatewayctl("models", "show", MODEL).out
    assert "effective window 200,000 (models_dev, " in out
    assert "void by now: the sources report another window" in out
    told = shown("show", MODEL)
    assert (told["cap"]["holds"], told["learned"]["value"]) == (False, None)


def test_cut_prompts_and_counted_replies_are_told(folder: Path) -> None:
    """How often and the last; of how many replies the observed range was made, and whether used."""
    teach(folder, lambda known: known.truncated(MODEL, CUT), sampled(10))
    out = gatewayctl("models", "show", MODEL).out
    assert "truncated        1 reply, the last " in out
    assert ": 4,095 of at least 9,000 tokens counted" in out
    assert "counted tokens   10 replies: " in out
    assert "; from 50 on they make the range of estimates" in out
    told = shown("show", MODEL)
    assert told["truncations"] == {
        "count": 1, "last": {"at": CUT.at, "metered": 4095, "low": 9000}
    }  # fmt: skip
    observed = told["observed"]
    assert (observed["samples"], observed["used"]) == (10, False)
    assert 0 < observed["low"] <= observed["high"]


def test_a_model_that_only_replies_tell_of_is_shown(folder: Path) -> None:
    """A local model that no source lists has the window that it gave away."""
    teach(folder, lambda known: known.learned("local/mine", CAP))
    assert "effective window 178,528 learned (" in gatewayctl("models", "show", "local/mine").out
    assert gatewayctl("models", "show", "local/other").status == 1


def test_the_list_shows_the_window_that_holds(folder: Path) -> None:
    """A learned cap is in the listing and among the conflicts."""
    teach(folder, lambda known: known.learned(MODEL, CAP))
    lines = gatewayctl("models", "list", "--provider", "anthropic").out.splitlines()
    (line,) = (line for line in lines if line.startswith(f"{MODEL} "))
    assert line.split()[1] == "179K"
    found = shown("list", "--conflicts", "--provider", "anthropic")["conflicts"]
    (cap,) = (each for each in found if each["field"] == "effective_window")
    assert (cap["value"], cap["against"][0]["why"]) == (178_528, "learned")


def test_estimates_and_decisions_go_by_what_was_learned(folder: Path) -> None:
    """The command line refuses what the daemon would refuse."""
    prompt = b"word " * 150_000
    before = gatewayctl("estimate", "--model", MODEL, stdin=prompt)
    teach(folder, lambda known: known.learned(MODEL, CAP))
    after = gatewayctl("estimate", "--model", MODEL, "--json", stdin=prompt)
    assert "200,000" in before.out
    (estimate,) = json.loads(after.out)["estimates"]
    assert estimate["context_window"] == estimate["ceiling"] == 178_528


def test_forgetting_says_what_was_known_and_is_heard_by_a_running_daemon(folder: Path) -> None:
    """Exit 0 and every part by name; soon the daemon's memory has lost it, too."""

    async def run() -> None:
        knowledge = Knowledge.open(folder, time.time, observe_every=0)
        knowledge.learned(MODEL, CAP)
        knowledge.truncated(MODEL, CUT)
        knowledge.anchored(MODEL, b"0" * 16, Anchor(tokens=10, raw=9))
        sampled(2)(knowledge)
        await heard(lambda: len(read(folder).models()) == 1 and read(folder).observed(MODEL))
        ran = await asyncio.to_thread(gatewayctl, "models", "forget", MODEL)
        assert ran.status == 0, ran.err
        assert ran.out == (
            f"{MODEL}: forgotten: a learned window of 178,528 (2026-06-01), 1 cut prompt, "
            "the counts of 2 replies, 1 place in conversations\n"
        )
        await heard(lambda: knowledge.version and knowledge.cap(MODEL) is None)
        assert knowledge.truncations(MODEL) is None
        await knowledge.close()

    async def heard(done: Callable[[], object]) -> None:
        for _ in range(600):
            if done():
                return
            await asyncio.sleep(0.05)
        pytest.fail("it was not heard of in half a minute")

    asyncio.run(run())
    assert read(folder).models() == ()


def test_forgetting_what_nobody_learned_exits_1_and_names_what_is_near(folder: Path) -> None:
    """Nothing is made up, nothing is written, and the JSON says the same."""
    ran = gatewayctl("models", "forget", MODEL)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f'gatewayctl: nothing was learned of "{MODEL}", nor of any other model\n'
    assert not folder.exists()
    teach(folder, lambda known: known.learned(MODEL, CAP))
    for near in ("claude-haiku-4-5", "haiku", "anthropic/claude-haiku-45"):
        assert f"did you mean {MODEL}?" in gatewayctl("models", "forget", near).err
    told = shown("forget", "other/model", status=1)
    assert (told["model"], told["forgotten"], told["learned"]) == ("other/model", False, None)
    told = shown("forget", MODEL)
    assert (told["forgotten"], told["learned"]["window"], told["anchors"]) == (True, 178_528, 0)


def test_an_unreadable_state_is_told_and_costs_no_answer(folder: Path) -> None:
    """What is listed is shown all the same; forgetting says why it cannot."""
    teach(folder, lambda known: known.learned(MODEL, CAP))
    (folder / "knowledge.db").write_bytes(b"this is no database at all" * 100)
    ran = gatewayctl("models", "show", MODEL)
    assert ran.status == 0
    assert "effective window 200,000" in ran.out
    assert "knowledge.db" in ran.err


def test_a_conversation_goes_on_from_what_its_last_reply_was_metered_as(folder: Path) -> None:
    """The command line recalls it as the daemon does, and estimates only what came since."""
    first = [{"role": "user", "content": "word " * 3000}]
    later = [*first, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Go on"}]

    def meter(knowledge: Knowledge) -> None:
        reader = READERS[WireProtocol.CHAT_COMPLETIONS]
        body = json.dumps({"model": MODEL, "messages": first}).encode()
        digest = prefixes(reader, body, knowledge.secret)[-1]
        knowledge.anchored(MODEL, digest, Anchor(tokens=5000, raw=3000))

    prompt = json.dumps({"model": MODEL, "messages": later}).encode()
    teach(folder, meter)
    (known,) = json.loads(gatewayctl("estimate", "--json", stdin=prompt).out)["estimates"]
    assert known["method"] == "anchor"
    assert 5000 < known["likely"] < 5100
    gatewayctl("models", "forget", MODEL)
    (usual,) = json.loads(gatewayctl("estimate", "--json", stdin=prompt).out)["estimates"]
    assert usual["method"] == "ratio"
    assert usual["likely"] < 4000
