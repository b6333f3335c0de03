"""Make a tiny language model with random weights, for tests of real model servers.

``python scripts/make_tiny_model.py FILE`` writes a GGUF file of about half a megabyte, the same
bytes every time: a llama of two blocks with a vocabulary of specials, bytes and a few words, and a
context of which a server is meant to serve but a part. It says nothing sensible, but it is really
run. Nothing beyond the standard library is needed.
"""

import argparse
import random
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

CONTEXT: Final = 40_960
EMBEDDING: Final = 64
BLOCKS: Final = 2
HEADS: Final = 4
FEED_FORWARD: Final = 128

WORDS: Final = (
    *("a", "and", "are", "as", "at", "be", "but", "by", "can", "do", "for", "from", "have", "he"),
    *("how", "i", "if", "in", "is", "it", "me", "my", "no", "not", "of", "on", "one", "or", "she"),
    *("so", "that", "the", "there", "they", "this", "to", "two", "was", "we", "what", "when"),
    *("where", "who", "will", "with", "yes", "you"),
)
MARKS: Final = (".", ",", "!", "?", "'", "-", "\n")
CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)

_ALIGNMENT: Final = 32
_F32: Final = 0
_UINT32, _FLOAT32, _STRING, _ARRAY = 4, 6, 8, 9
_INT32: Final = 5
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6

Value = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]


def vocabulary() -> list[tuple[str, float, int]]:
    """Return every token with its score and kind; the position is its number."""
    specials = [("<unk>", 0.0, _UNKNOWN)]
    specials += [(name, 0.0, _CONTROL) for name in ("<s>", "</s>", "<|im_start|>", "<|im_end|>")]
    single = [(f"<0x{byte:02X}>", 0.0, _BYTE) for byte in range(256)]
    letters = [(chr(code), -40.0, _NORMAL) for code in range(ord("a"), ord("z") + 1)]
    # The tokenizer joins two tokens at a time: it gets to a word by way of its beginnings.
    starts = {f"\u2581{word[:end]}" for word in WORDS for end in range(1, len(word))}
    spelled = {f"\u2581{word}" for word in WORDS}
    beginnings = [(start, -20.0, _NORMAL) for start in sorted(starts - spelled)]
    words = [(f"\u2581{word}", -1.0 - rank, _NORMAL) for rank, word in enumerate(WORDS)]
    marks = [(mark, -30.0, _NORMAL) for mark in MARKS]
    return [
        *specials,
        *single,
        ("\u2581", -35.0, _NORMAL),
        *letters,
        *beginnings,
        *words,
        *marks,
    ]


def metadata() -> dict[str, Value]:
    """Return what the file says of the model, in GGUF's own keys."""
    tokens = vocabulary()
    return {
        "general.architecture": "llama",
        "general.name": "tiny random llama",
        "general.alignment": _ALIGNMENT,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": EMBEDDING,
        "llama.block_count": BLOCKS,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": EMBEDDING // HEADS,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in tokens],
        "tokenizer.ggml.scores": [score for _, score, _ in tokens],
        "tokenizer.ggml.token_type": [kind for _, _, kind in tokens],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield every tensor's name and shape, the contiguous dimension first."""
    yield "token_embd.weight", (EMBEDDING, len(vocabulary()))
    for block in range(BLOCKS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{block}.{name}.weight", (EMBEDDING, EMBEDDING)
        yield f"blk.{block}.attn_norm.weight", (EMBEDDING,)
        yield f"blk.{block}.ffn_norm.weight", (EMBEDDING,)
        yield f"blk.{block}.ffn_gate.weight", (EMBEDDING, FEED_FORWARD)
        yield f"blk.{block}.ffn_up.weight", (EMBEDDING, FEED_FORWARD)
        yield f"blk.{block}.ffn_down.weight", (FEED_FORWARD, EMBEDDING)
    yield "output_norm.weight", (EMBEDDING,)
    yield "output.weight", (EMBEDDING, len(vocabulary()))


def model() -> bytes:
    """Return the whole file (GGUF version 3, little-endian)."""
    chance = random.Random(0)  # noqa: S311 - weights, not secrets
    infos, data = b"", b""
    tensors = list(shapes())
    for name, shape in tensors:
        infos += _string(name) + struct.pack("<I", len(shape))
        infos += struct.pack(f"<{len(shape)}QIQ", *shape, _F32, len(data))
        data += _padded(_weights(shape, chance))
    facts = metadata()
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts))
    return _padded(head + _facts(facts) + infos) + data


def _weights(shape: tuple[int, ...], chance: random.Random) -> bytes:
    if len(shape) == 1:  # a norm scales; it starts out as one
        return struct.pack(f"<{shape[0]}f", *[1.0] * shape[0])
    count = shape[0] * shape[1]
    scale = shape[0] ** -0.5
    values = array("f", (chance.gauss(0.0, scale) for _ in range(count)))
    return struct.pack(f"<{count}f", *values)


def _facts(facts: Mapping[str, Value]) -> bytes:
    return b"".join(_string(key) + _value(value) for key, value in facts.items())


def _value(value: Value) -> bytes:
    match value:
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _string(value)
        case _:
            return struct.pack("<I", _ARRAY) + _array(value)


def _array(values: Sequence[int] | Sequence[float] | Sequence[str]) -> bytes:
    head = {int: _INT32, float: _FLOAT32, str: _STRING}[type(values[0])]
    items = (
        _string(each)
        if isinstance(each, str)
        else struct.pack("<i" if head == _INT32 else "<f", each)
        for each in values
    )
    return struct.pack("<IQ", head, len(values)) + b"".join(items)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, help="where the model is written")
    target: Path = parser.parse_args().file
    target.write_bytes(model())
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
