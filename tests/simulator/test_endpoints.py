import openai
import pytest

from gatewayctl.simulator import Simulator

MANY = ["one", "two words", [1, 2, 3]]


@pytest.fixture
def client(simulator: Simulator) -> openai.AsyncOpenAI:
    """Return the official client on the simulator."""
    return openai.AsyncOpenAI(base_url=f"{simulator.base_url}/v1", api_key="x", max_retries=0)


async def test_every_input_has_a_vector_in_either_encoding(client: openai.AsyncOpenAI) -> None:
    """The same text has the same one; the SDK decodes base64 by itself."""
    async with client:
        packed = await client.embeddings.create(model="small", input=["one", "two", "one"])
        plain = await client.embeddings.create(
            model="small", input="one", encoding_format="float", dimensions=8
        )
        tokens = await client.embeddings.create(model="small", input=[5] * 30)
    vectors = [each.embedding for each in packed.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert plain.data[0].embedding == pytest.approx(vectors[0], abs=1e-6)
    assert (packed.usage.prompt_tokens, tokens.usage.prompt_tokens) == (3, 30)


async def test_a_completion_is_text_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    """Of as many tokens as are asked for, sixteen unless told; an answer for each prompt."""
    async with client:
        whole = await client.completions.create(model="small", prompt="Hello!", max_tokens=200)
        stream = await client.completions.create(
            model="small", prompt="Hello!", max_tokens=200, stream=True
        )
        pieces = [chunk.choices[0].text async for chunk in stream]
        short = await client.completions.create(model="small", prompt=["a", "b"])
    assert whole.choices[0].text == "".join(pieces)
    assert whole.choices[0].text.startswith("This is the simulated model small")
    assert [choice.finish_reason for choice in short.choices] == ["length", "length"]
    assert short.usage is not None
    assert short.usage.completion_tokens == 32


async def test_what_one_input_is_too_long_for_is_refused(client: openai.AsyncOpenAI) -> None:
    """Each has to fit by itself; a sum beyond the window is no matter."""
    async with client:
        fine = await client.embeddings.create(model="small", input=["word " * 20_000] * 3)
        assert len(fine.data) == 3
        with pytest.raises(openai.BadRequestError, match="maximum context length"):
            await client.embeddings.create(model="small", input="word " * 40_000)
        with pytest.raises(openai.BadRequestError, match="maximum context length"):
            await client.completions.create(model="small", prompt="word " * 40_000)


@pytest.mark.parametrize("value", ["", [""], 7, [["a"]], {"text": "a"}])
async def test_what_is_no_input_is_refused(client: openai.AsyncOpenAI, value: object) -> None:
    """In the words of a provider, with the field at fault."""
    async with client:
        with pytest.raises(openai.BadRequestError, match="required"):
            await client.embeddings.create(model="small", input=value)  # type: ignore[arg-type]
