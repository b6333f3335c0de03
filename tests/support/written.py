"""Text of four kinds, made at test time from what is at hand: prose, code, JSON and CJK.

Prose and code are the manual and the modules of the Python that runs the tests; CJK is put
together from the clauses of our own corpora. The same seed gives the same texts.
"""

import inspect
import json
import random
import re
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

CORPORA: Final = Path(__file__).parents[1] / "fixtures" / "corpora"
_CJK: Final = ("zh", "zh-news", "zh-hant", "ja", "ja-prose", "ko", "ko-prose")
_MODULES: Final = ("argparse", "ast", "asyncio.base_events", "csv", "dataclasses", "datetime")
_MORE_MODULES: Final = ("difflib", "email.message", "http.client", "inspect", "json.decoder")
_YET_MORE: Final = ("logging", "pathlib", "pickle", "shutil", "ssl", "tarfile", "typing", "zipfile")
_MOVED: Final = MappingProxyType({"datetime": "_pydatetime", "pathlib": "pathlib._local"})


def text(kind: str, rng: random.Random, chars: int) -> str:
    """Return about so many characters of a kind."""
    return KINDS[kind](rng, chars)


def _prose(rng: random.Random, chars: int) -> str:
    return _cut(_manual(), rng, chars, " ")


def _code(rng: random.Random, chars: int) -> str:
    return _cut(rng.choice(_sources()), rng, chars, "\n")


def _cjk(rng: random.Random, chars: int) -> str:
    """Return clauses of one of the languages, at random."""
    clauses = rng.choice(_clauses())
    found: list[str] = []
    size = 0
    while size < chars:
        found.append(rng.choice(clauses))
        size += len(found[-1])
    return "".join(found)


def _json(rng: random.Random, chars: int) -> str:
    """Return records as some API would send them, compact or indented."""
    form = rng.choice(_FORMS)
    indent = rng.choice([None, None, 2])
    records: list[Any] = []
    size = 0
    while size < chars:
        records.append(form(rng))
        size += len(json.dumps(records[-1], indent=indent)) + 2
    separators = (",", ":") if indent is None and rng.random() < 0.5 else None
    return json.dumps(records, indent=indent, separators=separators, ensure_ascii=False)[:chars]


def _order(rng: random.Random) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "created_at": f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T12:00:09Z",
        "customer": {"name": _words(rng, 2), "active": rng.random() < 0.5},
        "amount": round(rng.uniform(0, 5000), 2),
        "tags": rng.sample(["new", "paid", "on hold", "express", "gift"], 2),
    }


def _event(rng: random.Random) -> dict[str, Any]:
    return {
        "level": rng.choice(["INFO", "WARN", "ERROR"]),
        "message": _words(rng, rng.randint(4, 14)),
        "trace": f"{rng.getrandbits(64):016x}",
        "ms": rng.randint(1, 90_000),
    }


def _listing(rng: random.Random) -> dict[str, Any]:
    return {
        "path": "/".join(_words(rng, 1) for _ in range(rng.randint(2, 5))) + ".py",
        "size": rng.randint(10, 10**6),
        "lines": [rng.randint(1, 900), rng.randint(901, 2000)],
        "mode": "100644",
    }


def _words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_vocabulary(), k=count))


_FORMS: Final[tuple[Callable[[random.Random], dict[str, Any]], ...]] = (_order, _event, _listing)

KINDS: Final[Mapping[str, Callable[[random.Random, int], str]]] = MappingProxyType(
    {"prose": _prose, "code": _code, "json": _json, "cjk": _cjk}
)
"""What makes about so many characters of each kind."""


def _cut(whole: str, rng: random.Random, chars: int, at: str) -> str:
    """Return a part of a text that begins after a blank or a line end; of a short one its end."""
    start = rng.randrange(max(len(whole) // 2, len(whole) - chars))
    start = whole.find(at, start) + 1
    return whole[start : start + chars]


@cache
def _manual() -> str:
    from pydoc_data import topics  # noqa: PLC0415 - half a megabyte

    pages: dict[str, str] = topics.topics
    return "\n\n".join(pages[name] for name in sorted(pages))


@cache
def _sources() -> tuple[str, ...]:
    return tuple(_source(name) for name in (*_MODULES, *_MORE_MODULES, *_YET_MORE))


def _source(name: str) -> str:
    """Return a module's text: in newer releases of Python, that of the one which it imports."""
    from importlib import import_module  # noqa: PLC0415

    try:
        module = import_module(_MOVED.get(name, name))
    except ModuleNotFoundError:  # an older release
        module = import_module(name)
    return inspect.getsource(module)


@cache
def _clauses() -> tuple[tuple[str, ...], ...]:
    texts = [(CORPORA / f"{name}.txt").read_text(encoding="utf-8") for name in _CJK]
    return tuple(tuple(re.findall(r"[\w\s]+[^\w\s]*", each)) for each in texts)


@cache
def _vocabulary() -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(r"[a-z]{3,10}", _manual()))))
