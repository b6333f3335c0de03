"""The official SDKs against ``gatewayctl serve``, in front of an upstream of each protocol.

Each surface streams an answer and makes a round trip of a tool with thoughts; what the bodies hold
beyond that is looked at in ``tests/protocols/translation``.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from support.daemon import Daemon, daemon, environment

PROTOCOLS: Final = ("chat_completions", "responses", "messages", "gemini")
KINDS: Final = {"messages": "anthropic-compatible", "gemini": "gemini"}
SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
FUNCTION: Final[Any] = {"name": "weather", "description": "Tells it", "parameters": SCHEMA}
CHAT_TOOLS: Final[Any] = [{"type": "function", "function": FUNCTION}]
RESPONSES_TOOLS: Final[Any] = [{"type": "function", "strict": False, **FUNCTION}]
MESSAGES_TOOLS: Final[Any] = [{"name": "weather", "input_schema": SCHEMA}]
GEMINI_TOOLS: Final[Any] = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)
        ]
    )
]
ASK: Final = "Please use the weather tool."
SUNNY: Final = "Sunny, 21 degrees"


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """Run the simulator for this module, and return its URL."""
    command = [sys.executable, "-m", "gatewayctl.simulator", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        yield found[0]
        process.terminate()


@pytest.fixture(scope="module")
def served(simulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a gateway with a provider of each protocol, named after it."""
    home = tmp_path_factory.mktemp("home")
    providers = "".join(
        f"""
[providers.{protocol}]
kind = "{KINDS.get(protocol, "openai-compatible")}"
base_url = "{simulator}/{"v1beta" if protocol == "gemini" else "v1"}"
auth = "none"
protocols = ["{protocol}"]
headers = {{ "x-sim-fault" = "strict" }}
"""
        for protocol in PROTOCOLS
    )
    config = home / "config.toml"
    config.write_text(providers, encoding="utf-8")
    with daemon("--config", str(config), env=environment(home)) as running:
        yield running


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_openai_chat(served: Daemon, protocol: str) -> None:
    """Text in pieces, then a call with its arguments, and an answer to its result."""
    model: Any = {"model": f"{protocol}/large"}
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test", max_retries=0) as client:
        turns: Any = [{"role": "user", "content": "Hello!"}]
        chunks = list(
            client.chat.completions.create(
                **model, messages=turns, stream=True, stream_options={"include_usage": True}
            )
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text.startswith("This is the simulated model large")
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > 0
        turns = [{"role": "user", "content": ASK}]
        first = client.chat.completions.create(
            **model, messages=turns, tools=CHAT_TOOLS, reasoning_effort="low"
        ).choices[0]
        assert first.finish_reason == "tool_calls"
        assert first.message.tool_calls is not None
        (call,) = first.message.tool_calls
        turns.append(first.message.model_dump(exclude_none=True))
        turns.append({"role": "tool", "tool_call_id": call.id, "content": SUNNY})
        last = client.chat.completions.create(
            **model, messages=turns, tools=CHAT_TOOLS, reasoning_effort="low"
        )
        assert "Sunny" in (last.choices[0].message.content or "")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_openai_responses(served: Daemon, protocol: str) -> None:
    """The accumulated stream is whole, and its items go back as they came."""
    model: Any = {"model": f"{protocol}/large", "store": False}
    more: Any = {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}}
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test", max_retries=0) as client:
        with client.responses.stream(**model, input="Hello!") as stream:
            seen = [event.type for event in stream]
            final = stream.get_final_response()
        assert (seen[0], seen[-1]) == ("response.created", "response.completed")
        assert final.output_text.startswith("This is the simulated model large")
        turns: Any = [{"role": "user", "content": ASK}]
        first = client.responses.create(**model, **more, input=turns, tools=RESPONSES_TOOLS)
        (call,) = [item for item in first.output if item.type == "function_call"]
        turns += [item.model_dump(exclude_none=True) for item in first.output]
        turns.append({"type": "function_call_output", "call_id": call.call_id, "output": SUNNY})
        last = client.responses.create(**model, **more, input=turns, tools=RESPONSES_TOOLS)
        assert "Sunny" in last.output_text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_anthropic(served: Daemon, protocol: str) -> None:
    """The accumulated stream is whole, and its blocks go back as they came."""
    model: Any = {"model": f"{protocol}/large", "max_tokens": 4000}
    thinking: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with anthropic.Anthropic(base_url=served.url, api_key="sk-test", max_retries=0) as client:
        hello: Any = [{"role": "user", "content": "Hello!"}]
        with client.messages.stream(**model, messages=hello) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text.startswith("This is the simulated model large")
        assert (final.stop_reason, final.usage.output_tokens > 0) == ("end_turn", True)
        turns: Any = [{"role": "user", "content": ASK}]
        first = client.messages.create(**model, **thinking, messages=turns, tools=MESSAGES_TOOLS)
        assert first.stop_reason == "tool_use"
        (use,) = [block for block in first.content if block.type == "tool_use"]
        blocks = [block.model_dump(exclude_none=True) for block in first.content]
        result = {"type": "tool_result", "tool_use_id": use.id, "content": SUNNY}
        turns += [
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": [result]},
        ]
        last = client.messages.create(**model, **thinking, messages=turns, tools=MESSAGES_TOOLS)
        assert any("Sunny" in block.text for block in last.content if block.type == "text")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_google_genai(served: Daemon, protocol: str, version: str) -> None:
    """The stream adds up, and the content of a call goes back as it came, signatures and all."""
    model = f"{protocol}/large"
    options = types.HttpOptions(base_url=served.url, api_version=version)
    config = types.GenerateContentConfig(
        tools=GEMINI_TOOLS,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024),
    )
    with genai.Client(api_key="test", http_options=options) as client:
        stream = client.models.generate_content_stream(model=model, contents="Hello!")
        text = "".join(chunk.text or "" for chunk in stream)
        assert text.startswith("This is the simulated model large")
        asked = types.Content(role="user", parts=[types.Part(text=ASK)])
        first = client.models.generate_content(model=model, contents=[asked], config=config)
        assert first.function_calls is not None
        (call,) = first.function_calls
        assert first.candidates is not None
        given = types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"output": SUNNY}
            )
        )
        turns: Any = [asked, first.candidates[0].content, types.Content(role="user", parts=[given])]
        last = client.models.generate_content(model=model, contents=turns, config=config)
        assert "Sunny" in (last.text or "")


def test_openai_embeddings_and_completions_pass_through(served: Daemon) -> None:
    """Where the provider speaks their API; nobody translates them for another."""
    hello: Any = {"model": "chat_completions/large", "prompt": "Hello!", "max_tokens": 100}
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test", max_retries=0) as client:
        vectors = client.embeddings.create(model="chat_completions/large", input=["a", "b", "a"])
        assert vectors.data[0].embedding == vectors.data[2].embedding
        whole = client.completions.create(**hello).choices[0].text
        stream = client.completions.create(**hello, stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == whole
        with pytest.raises(openai.BadRequestError, match="this endpoint"):
            client.embeddings.create(model="messages/large", input="a")


def test_refusals_are_the_sdks_own_errors_whatever_the_upstream_speaks(
    served: Daemon,
) -> None:
    """An upstream's 429 and 400 in one dialect are told in the client's."""
    hello: Any = [{"role": "user", "content": "Hello!"}]
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="sk-test", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="gemini/large!429=0", messages=hello)
        with pytest.raises(openai.BadRequestError):
            client.responses.create(model="messages/large!400", input="Hello!")
    with (
        anthropic.Anthropic(base_url=served.url, api_key="sk-test", max_retries=0) as client_,
        pytest.raises(anthropic.RateLimitError),
    ):
        client_.messages.create(model="responses/large!429=0", max_tokens=9, messages=hello)
    options = types.HttpOptions(base_url=served.url)
    with (
        genai.Client(api_key="test", http_options=options) as google,
        pytest.raises(genai.errors.ClientError, match="429"),
    ):
        google.models.generate_content(model="chat_completions/large!429=0", contents="Hello!")
