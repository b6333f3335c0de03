"""Configs and requests drawn at random from a seed: what people might write, valid and odd.

For tests that compare two ways to the same answer. Equal seeds give equal draws.
"""

import random
from collections.abc import Iterator

import msgspec
import tomli_w

Table = dict[str, object]

WINDOWS = (4_096, 8_192, 32_768, 100_000, 200_000, 1_000_000)
PROTOCOLS = ("chat_completions", "responses", "messages")
PATHS = {
    "chat_completions": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the name it asks for, its protocol, its body, and the seed of its draw."""

    name: str
    protocol: str
    body: bytes
    seed: int


def config(seed: int) -> tuple[str, list[str]]:
    """Return a config's text, and names to ask for: some of them mean nothing."""
    chance = random.Random(seed)  # noqa: S311 - a test's draw
    providers = {f"p{n}": _provider(chance) for n in range(chance.randint(1, 3))}
    models = [
        _model(chance, f"{chance.choice(list(providers))}/m{n}")
        for n in range(chance.randint(2, 9))
    ]
    names = [str(model["id"]) for model in models]
    document: Table = {
        "server": {"default_output_tokens": chance.choice([1024, 4096])},
        "routing": {
            "fit": chance.choice(["guard", "guard", "strict", "off"]),
            "strict_unknown": chance.random() < 0.2,
            "min_output": chance.choice([256, 4096]),
        },
        "providers": providers,
        "models": models,
    }
    routes: dict[str, list[Table]] = {"alloys": [], "cascades": [], "dispatchers": []}
    for number in range(chance.randint(1, 5)):
        kind = chance.choice(list(routes))
        route = _ROUTES[kind](chance, f"r{number}", names)
        routes[kind].append(route)
        names.append(f"r{number}")
    document |= {kind: written for kind, written in routes.items() if written}
    document["aliases"] = {"nick": chance.choice(names), "w-*": chance.choice(names)}
    return tomli_w.dumps(document), [*names, "nick", "w-ild", "m0", "nobody"]


def requests(seed: int, names: list[str], count: int) -> Iterator[Asked]:
    """Yield requests for the names."""
    chance = random.Random(seed)  # noqa: S311 - a test's draw
    for _ in range(count):
        protocol = chance.choice(PROTOCOLS)
        name = chance.choice(names)
        body = msgspec.json.encode(_BODIES[protocol](chance, name))
        yield Asked(name=name, protocol=protocol, body=body, seed=chance.getrandbits(64))


def _provider(chance: random.Random) -> Table:
    return {
        "kind": "openai-compatible",
        "base_url": "http://127.0.0.1:9/v1",
        "auth": "none",
        "protocols": chance.sample(PROTOCOLS, chance.choice([2, 3, 3, 3])),
        "overflow": chance.choice(["error", "error", "truncates"]),
    }


def _model(chance: random.Random, full_id: str) -> Table:
    model: Table = {"id": full_id}
    if chance.random() < 0.9:
        model["context_window"] = chance.choice(WINDOWS)
    if chance.random() < 0.3:
        model["max_output_tokens"] = chance.choice([1024, 8192])
    if chance.random() < 0.3:
        model["capacity_fraction"] = chance.choice([0.75, 0.95])
    match chance.randint(0, 3):
        case 0:
            model["chars_per_token"] = chance.choice([2.5, 4.0])
        case 1:
            model["tokenizer"] = chance.choice(["tiktoken:o200k_base", "tiktoken:cl100k_base"])
        case _:
            model["safety_margin"] = chance.choice([1.0, 1.1, 1.5])
    if chance.random() < 0.6:
        model["prices"] = {"input": chance.choice([0.1, 3.0]), "output": chance.choice([1.0, 15.0])}
    if chance.random() < 0.3:
        model["capabilities"] = {chance.choice(["tools", "images"]): False}
    return model


def _alloy(chance: random.Random, name: str, names: list[str]) -> Table:
    members = chance.sample(names, min(len(names), chance.randint(2, 4)))
    strategy = chance.choice(["weighted", "round_robin"])
    constituents: list[Table] = [
        {"model": member, "context_window": chance.choice(WINDOWS)} for member in members
    ]
    if strategy == "weighted":
        for constituent in constituents:
            constituent["weight"] = chance.choice([1, 2.5, 80])
    return {
        "id": name,
        "name": name,
        "strategy": strategy,
        "scope": chance.choice(["turn", "request", "session"]),
        "partial_context": chance.random() < 0.5,
        "constituents": constituents,
    }


def _cascade(chance: random.Random, name: str, names: list[str]) -> Table:
    steps: list[Table] = []
    for member in chance.choices(names, k=chance.randint(1, 4)):
        step: Table = {"model": member}
        if "/" in member and chance.random() < 0.3:
            step["tokenizer"] = {"chars_per_token": chance.choice([2.0, 5.0])}
        steps.append(step)
    return {"id": name, "steps": steps}


def _dispatcher(chance: random.Random, name: str, names: list[str]) -> Table:
    route: Table = {
        "id": name,
        "targets": chance.choices(names, k=chance.randint(1, 4)),
        "order": chance.choice(["declared", "smallest", "cheapest"]),
        "reevaluate": chance.choice(["per_turn", "sticky", "sticky_escalate"]),
    }
    conditions: list[Table] = [
        {"images": True},
        {"tools": True, "max_input_tokens": 20_000},
        {"min_input_tokens": 30_000},
        {"protocol": "messages"},
        {"stream": True},
    ]
    rules = [
        {"when": when, "target": chance.choice(names)}
        for when in chance.sample(conditions, chance.randint(0, 2))
    ]
    if rules:
        route["rules"] = rules
    return route


_ROUTES = {"alloys": _alloy, "cascades": _cascade, "dispatchers": _dispatcher}


def _text(chance: random.Random) -> str:
    words = [
        "word",
        "größer",
        "数据",
        "{'key': 12}",
        "return x + 1\n",
        "🙂",
        "https://example.org/",
    ]
    size = int(10 ** chance.uniform(0.3, 4.6))
    return " ".join(chance.choices(words, k=size))


_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_SCHEMA: Table = {"type": "object", "properties": {"path": {"type": "string"}}}


def _chat(chance: random.Random, name: str) -> Table:
    content: list[Table] = [{"type": "text", "text": _text(chance)}]
    if chance.random() < 0.2:
        url = {"url": f"data:image/png;base64,{_PNG}"}
        content.append({"type": "image_url", "image_url": url})
    body: Table = {
        "model": name,
        "messages": [
            {"role": "system", "content": _text(chance)[:200]},
            {"role": "user", "content": content},
        ],
        "stream": chance.random() < 0.5,
    }
    if chance.random() < 0.3:
        function = {"name": "read", "description": "Reads a file.", "parameters": _SCHEMA}
        body["tools"] = [{"type": "function", "function": function}]
    if chance.random() < 0.5:
        body["max_tokens"] = chance.choice([16, 2000, 64_000])
    return body


def _responses(chance: random.Random, name: str) -> Table:
    body: Table = {"model": name, "input": _text(chance), "instructions": "Be brief."}
    if chance.random() < 0.3:
        tool = {"type": "function", "name": "read", "parameters": _SCHEMA}
        body["tools"] = [tool]
    if chance.random() < 0.5:
        body["max_output_tokens"] = chance.choice([16, 2000, 64_000])
    return body


def _messages(chance: random.Random, name: str) -> Table:
    content: list[Table] = [{"type": "text", "text": _text(chance)}]
    if chance.random() < 0.2:
        source = {"type": "base64", "media_type": "image/png", "data": _PNG}
        content.append({"type": "image", "source": source})
    body: Table = {
        "model": name,
        "system": "Be brief.",
        "max_tokens": chance.choice([16, 2000, 64_000]),
        "messages": [{"role": "user", "content": content}],
        "stream": chance.random() < 0.5,
    }
    if chance.random() < 0.3:
        body["tools"] = [{"name": "read", "input_schema": _SCHEMA}]
    return body


_BODIES = {"chat_completions": _chat, "responses": _responses, "messages": _messages}
