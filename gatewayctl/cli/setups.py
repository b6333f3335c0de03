"""What each tool needs to use the gateway: variables, a file of its own, and what to know.

Right for Claude Code 2.1.197, Codex 0.169 and Gemini CLI 0.61: the figures here are theirs. Pure
values; which shell writes them is ``shells``' business, which model is chosen ``env``'s.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, assert_never

import msgspec

from gatewayctl.core.model import WireProtocol
from gatewayctl.core.routing.room import Room

PLACEHOLDER: Final = "gatewayctl"
"""What stands for a key where none is asked for: tools do not start without one."""

KEY_HEADER: Final = "x-gatewayctl-key"
"""Where a client key stands beside a credential that is forwarded."""


class Tool(StrEnum):
    """Whom a set-up is for; ``openai`` is whatever uses OpenAI's SDKs or their variables."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    OPENAI = "openai"


SPEAKS: Mapping[Tool, WireProtocol] = MappingProxyType(
    {
        Tool.CLAUDE: WireProtocol.MESSAGES,
        Tool.CODEX: WireProtocol.RESPONSES,
        Tool.GEMINI: WireProtocol.GEMINI,
        Tool.OPENAI: WireProtocol.CHAT_COMPLETIONS,
    }
)
"""In which protocol each tool asks."""

ASKS_FOR: Mapping[Tool, str] = MappingProxyType(
    {
        Tool.CLAUDE: "claude-sonnet-4-5",
        Tool.CODEX: "gpt-5.4",
        Tool.GEMINI: "gemini-2.5-pro",
        Tool.OPENAI: "gpt-5.4",
    }
)
"""A model that each tool asks for by itself."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a set-up is made from.

    ``url`` is the gateway's, without a path. ``model`` None leaves the tool's own names, ``small``
    is for its minor tasks; ``room`` is what is known behind ``model``. ``keyed``: the gateway asks
    for a key of its own, which only its client knows. ``known``: the names of models that the tool
    has of its own mean something to the gateway.
    """

    url: str
    model: str | None = None
    small: str | None = None
    room: Room = Room()
    keyed: bool = False
    known: bool = False


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the tool's: where it belongs (``~`` is the home), and its whole text."""

    path: str
    text: str


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Variables by name, a file if the tool reads one, and hints for a person, a line each."""

    variables: Mapping[str, str]
    file: File | None = None
    hints: tuple[str, ...] = ()


def setup(tool: Tool, ground: Ground) -> Setup:
    """Return what a tool needs."""
    match tool:
        case Tool.CLAUDE:
            return _claude(ground)
        case Tool.CODEX:
            return _codex(ground)
        case Tool.GEMINI:
            return _gemini(ground)
        case Tool.OPENAI:
            return _openai(ground)
        case _:
            assert_never(tool)


# --- keys --------------------------------------------------------------------------------------


def _key(ground: Ground, variable: str) -> dict[str, str]:
    """Return the assignment of a placeholder, nothing where a true key has to stand."""
    return {} if ground.keyed or ground.room.forwards else {variable: PLACEHOLDER}


def _key_hints(ground: Ground, how: str, beside: str) -> Iterator[str]:
    """Say what to do where no placeholder will do.

    ``how`` is where the key goes, ``beside`` where a client key does if the tool's own is needed.
    """
    if ground.room.forwards:
        names = ", ".join(ground.room.forwards)
        yield f"{names} is sent the tool's own credential, so none is set here: {how}"
        if ground.keyed:
            yield f"the gateway asks for a client key besides, as {KEY_HEADER}: {beside}"
    elif ground.keyed:
        made = "gatewayctl keys create makes one"
        yield f"the gateway asks for a client key ({made}): put it into {how}"


# --- Claude Code -------------------------------------------------------------------------------

_CLAUDE_OUTPUT: Final = 32_000
"""What it asks for at a model that it does not know."""
_CLAUDE_KEPT: Final = 20_000
"""How much of that it keeps free, at most, when it decides to compact …"""
_CLAUDE_SPARE: Final = 13_000
"""… and what it keeps free besides."""
_CLAUDE_OWN: Final = 30_000
"""What its own prompt and tools take, about."""
_CLAUDE_LOGIN: Final = "ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN or claude's own login"
_TIERS: Final = ("OPUS", "SONNET", "HAIKU", "FABLE")


def _claude(ground: Ground) -> Setup:
    variables = {"ANTHROPIC_BASE_URL": ground.url, **_key(ground, "ANTHROPIC_AUTH_TOKEN")}
    variables["CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"] = "1"  # for its /model
    hints = list(
        _key_hints(
            ground,
            _CLAUDE_LOGIN if ground.room.forwards else "ANTHROPIC_AUTH_TOKEN",
            f'ANTHROPIC_CUSTOM_HEADERS="{KEY_HEADER}: KEY"',
        )
    )
    if ground.model is not None:
        small = ground.small or ground.model
        variables["ANTHROPIC_MODEL"] = ground.model
        for tier in _TIERS:
            variables[f"ANTHROPIC_DEFAULT_{tier}_MODEL"] = (
                small if tier == "HAIKU" else ground.model
            )
        variables["ANTHROPIC_SMALL_FAST_MODEL"] = small
        variables["CLAUDE_CODE_SUBAGENT_MODEL"] = ground.model
    most = ground.room.most
    if most is not None:
        output = min(_CLAUDE_OUTPUT, ground.room.output or _CLAUDE_OUTPUT, max(1, most // 4))
        window = _claude_window(ground.room, most, output)
        # the first holds for names that do not begin with claude-, and below 100,000 tokens
        variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] = str(window)
        variables["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] = str(window)
        if output < _CLAUDE_OUTPUT:
            variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(output)
        if window - _CLAUDE_SPARE - min(output, _CLAUDE_KEPT) < _CLAUDE_OWN:
            hints.append(
                f"{most:,} tokens are little: Claude Code's own prompt takes about {_CLAUDE_OWN:,}"
            )
    return Setup(variables=variables, hints=tuple(hints))


def _claude_window(room: Room, most: int, output: int) -> int:
    """Return the window to tell, of which the tool itself keeps some tokens free.

    Where only what surely fits is sent, it has to compact before the highest estimate is too large.
    """
    if not room.surely:
        return most
    kept = min(output, _CLAUDE_KEPT) + _CLAUDE_SPARE
    return min(most, (most - output) * 4 // 5 + kept)


# --- Codex -------------------------------------------------------------------------------------

_CODEX_OUTPUT: Final = 4096
"""Output that is taken to be wanted, since it never says."""
_PROFILE: Final = "gatewayctl"
_CODEX_KEY: Final = "GATEWAYCTL_KEY"


def _codex(ground: Ground) -> Setup:
    room = ground.room
    lines = [f'# ~/.codex/{_PROFILE}.config.toml, for "codex --profile {_PROFILE}";']
    lines.append("# or at the top of ~/.codex/config.toml, for every codex.")
    if ground.model is not None:
        lines.append(f"model = {_toml(ground.model)}")
    lines.append(f'model_provider = "{_PROFILE}"')
    sides = (None if room.total is None else room.total - _CODEX_OUTPUT, room.input)
    window = min((each for each in sides if each is not None and each > 0), default=None)
    if window is not None:
        limit = window * 3 // 4 if room.surely else window * 9 // 10
        lines.append(f"model_context_window = {window}")
        lines.append(f"model_auto_compact_token_limit = {limit}")
    lines += ["", f"[model_providers.{_PROFILE}]", 'name = "gatewayctl"']
    lines.append(f"base_url = {_toml(f'{ground.url}/v1')}")
    lines.append('wire_api = "responses"')
    hints = list(_key_hints(ground, _codex_key(ground), _CODEX_KEY))
    if room.forwards:
        lines.append("requires_openai_auth = true")
        if ground.keyed:
            lines.append(f'env_http_headers = {{ {KEY_HEADER} = "GATEWAYCTL_KEY" }}')
    elif ground.keyed:
        lines.append('env_key = "GATEWAYCTL_KEY"')
    file = File(path=f"~/.codex/{_PROFILE}.config.toml", text="\n".join(lines) + "\n")
    return Setup(variables={}, file=file, hints=tuple(hints))


def _codex_key(ground: Ground) -> str:
    return "codex login" if ground.room.forwards else _CODEX_KEY


def _toml(text: str) -> str:
    """Return a basic string of TOML, whose escapes are JSON's but for DEL."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")


# --- Gemini CLI --------------------------------------------------------------------------------

_GEMINI_WINDOW: Final = 1_048_576
"""What it takes every model's window to be."""
_GEMINI_SHARE: Final = 0.5
"""How much of the window it fills before it compacts, by itself."""


def _gemini(ground: Ground) -> Setup:
    variables = {"GOOGLE_GEMINI_BASE_URL": ground.url, **_key(ground, "GEMINI_API_KEY")}
    if ground.model is not None:
        variables["GEMINI_MODEL"] = ground.model
    settings: dict[str, object] = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    most = ground.room.most
    if most is not None and most < _GEMINI_WINDOW:
        share = int(most / _GEMINI_WINDOW * _GEMINI_SHARE * 10_000) / 10_000
        settings["model"] = {"compressionThreshold": max(share, 0.0001)}
    beside = f'GEMINI_CLI_CUSTOM_HEADERS="{KEY_HEADER}: KEY"'
    hints = list(_key_hints(ground, "GEMINI_API_KEY", beside))
    if "model" in settings:
        hints.append(
            f"Gemini CLI takes every window for {_GEMINI_WINDOW:,} tokens: compressionThreshold "
            f"in ~/.gemini/settings.json has it compact at half of {most:,}"
        )
    if not ground.known:
        hints.append(
            "it asks gemini-… models by itself for summaries, without which it cannot compact, and "
            'for minor tasks: an alias "gemini-*" in the config answers them'
        )
    text = msgspec.json.format(msgspec.json.encode(settings)).decode() + "\n"
    file = File(path="~/.gemini/settings.json", text=text)
    return Setup(variables=variables, file=file, hints=tuple(hints))


# --- OpenAI's SDKs -----------------------------------------------------------------------------


def _openai(ground: Ground) -> Setup:
    variables = {"OPENAI_BASE_URL": f"{ground.url}/v1", **_key(ground, "OPENAI_API_KEY")}
    if ground.model is not None:
        variables["OPENAI_MODEL"] = ground.model
    hints = _key_hints(ground, "OPENAI_API_KEY", "among the client's default headers")
    return Setup(variables=variables, hints=tuple(hints))
