"""What reasoning models take in OpenAI's protocols, by their names."""

from typing import Any

import msgspec
import pytest

from gatewayctl.core.conversation import Message, Prompt, Role, Sampling, Text, Thinking, Tool
from gatewayctl.core.model import WireProtocol
from gatewayctl.protocols import reasoning_models
from gatewayctl.protocols.catalog import CODECS
from gatewayctl.protocols.codec import Changes, Target

DRAWN = Sampling(temperature=0.2, top_p=0.9, presence_penalty=0.1, frequency_penalty=0)


def written(protocol: WireProtocol, model: str, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    """Return what is sent of a prompt, and what was dropped."""
    prompt = Prompt(
        protocol=WireProtocol.MESSAGES,
        model="asked",
        messages=(Message(role=Role.USER, parts=(Text(text="hi"),)),),
        **fields,
    )
    target = Target(origin="p/m", changes=Changes(model=model))
    sent = CODECS[protocol].write_prompt(prompt, target)
    return msgspec.json.decode(sent.body), sent.dropped


BOTH = pytest.mark.parametrize("protocol", [WireProtocol.CHAT_COMPLETIONS, WireProtocol.RESPONSES])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("o3-mini", "low medium high"),
        ("x-ai/grok-4-fast-reasoning", ""),
        ("grok-4-0709", ""),
        ("grok-4.20-0309-reasoning", ""),
        ("grok-code-fast-1", ""),
        ("openai/gpt-oss-120b", "low medium high"),
        ("gpt-5", "minimal low medium high"),
        ("openai/gpt-5-mini-2025-08-07", "minimal low medium high"),
        ("gpt-5-codex", "low medium high"),
        ("gpt-5-pro", "high"),
        ("gpt-5.1", "none low medium high"),
        ("gpt-5.1-codex-max", "low medium high xhigh"),
        ("gpt-5.2-pro", "medium high xhigh"),
        ("gpt-5.4", "none low medium high xhigh"),
        ("gpt-5.6-terra", "none low medium high xhigh max"),
    ],
)
def test_each_reasoning_model_has_its_words_for_effort(model: str, words: str) -> None:
    """OpenAI's documentation lists them model by model, xAI's says which have none."""
    found = reasoning_models.traits(model)
    assert found is not None
    assert " ".join(found.efforts) == words


@pytest.mark.parametrize(
    "model",
    [
        *("gpt-4.1", "gpt-5-chat-latest", "mygpt-5", "claude-opus-4-6"),
        *("grok-3-mini", "grok-4.3", "grok-4.20-multi-agent-0309"),
    ],
)
def test_other_models_are_not_known_here(model: str) -> None:
    """They are told whatever the client says."""
    assert reasoning_models.traits(model) is None


@BOTH
def test_a_reasoning_model_is_sent_no_sampling(protocol: WireProtocol) -> None:
    """It refuses the parameters, so they are left out; what says the usual is no loss."""
    body, dropped = written(protocol, "gpt-5", sampling=DRAWN, logprobs=2)
    assert not body.keys() & {"temperature", "top_p", "presence_penalty", "top_logprobs"}
    assert dropped == ("temperature", "top_p", "presence_penalty", "logprobs")
    assert written(protocol, "gpt-5", sampling=Sampling(temperature=1, top_p=1))[1] == ()


@BOTH
def test_a_model_that_may_not_be_told_of_parallel_calls_is_not(protocol: WireProtocol) -> None:
    """OpenAI's o models refuse the field; that only one call was wanted is on record."""
    tools = {"tools": (Tool(name="f"),)}
    body, dropped = written(protocol, "o4-mini", parallel=False, **tools)
    assert "parallel_tool_calls" not in body
    assert dropped == ("parallel_tool_calls",)
    body, dropped = written(protocol, "gpt-5", parallel=False, **tools)
    assert (body["parallel_tool_calls"], dropped) == (False, ())


@BOTH
def test_a_model_that_does_not_reason_unasked_is_sampled_as_it_is_told(
    protocol: WireProtocol,
) -> None:
    """From 5.1 on there is a word for not reasoning, at first the default."""
    sampling = Sampling(temperature=0.2)
    assert written(protocol, "gpt-5.2", sampling=sampling)[0]["temperature"] == 0.2
    reasoning = {"sampling": sampling, "thinking": Thinking(effort="low")}
    assert "temperature" not in written(protocol, "gpt-5.2", **reasoning)[0]
    quiet = {"sampling": sampling, "thinking": Thinking(off=True)}
    assert written(protocol, "gpt-5.6", **quiet)[0]["temperature"] == 0.2


def test_only_openais_models_are_told_how_much_to_say_in_chat() -> None:
    """Groq and Cerebras refuse a field that they do not know."""
    body, dropped = written(WireProtocol.CHAT_COMPLETIONS, "gpt-5.4", verbosity="low")
    assert (body["verbosity"], dropped) == ("low", ())
    for model in ("gpt-oss-120b", "kimi-k2"):
        body, dropped = written(WireProtocol.CHAT_COMPLETIONS, model, verbosity="low")
        assert "verbosity" not in body
        assert dropped == ("verbosity",)


def test_an_open_model_is_sampled_and_encrypts_nothing() -> None:
    """Others run it, with a server of their own."""
    body, dropped = written(WireProtocol.RESPONSES, "gpt-oss:20b", sampling=Sampling(top_p=0.5))
    assert (body["top_p"], dropped) == (0.5, ())
    assert "include" not in body


@BOTH
@pytest.mark.parametrize(
    ("model", "thinking", "word", "lost"),
    [
        ("gpt-5", Thinking(effort="max"), "high", ("reasoning effort",)),
        ("gpt-5.2", Thinking(effort="max"), "xhigh", ("reasoning effort",)),
        ("gpt-5.6", Thinking(effort="max"), "max", ()),
        ("gpt-5.6", Thinking(off=True), "none", ()),
        ("gpt-5", Thinking(off=True), None, ("reasoning",)),
        ("gpt-oss-20b", Thinking(effort="xhigh"), "high", ("reasoning effort",)),
        ("another", Thinking(off=True), None, ("reasoning",)),
        ("another", Thinking(effort="max"), "max", ()),
        ("gpt-5", Thinking(adaptive=True), None, ()),
    ],
)
def test_effort_is_told_in_a_word_that_the_model_takes(
    protocol: WireProtocol, model: str, thinking: Thinking, word: str | None, lost: tuple[str, ...]
) -> None:
    """The nearest it has; switched off only where there is a word for that."""
    body, dropped = written(protocol, model, thinking=thinking)
    found = body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort"))
    assert found == word
    assert dropped == lost


def test_encrypted_reasoning_is_asked_of_every_model_that_has_some() -> None:
    """Else nothing of it could be sent back in a loop of tools, since nothing is kept there."""
    assert written(WireProtocol.RESPONSES, "gpt-5")[0]["include"] == ["reasoning.encrypted_content"]
    assert "include" not in written(WireProtocol.RESPONSES, "gpt-4.1")[0]
