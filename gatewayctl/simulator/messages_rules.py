"""What Anthropic refuses of a request for a message, in its words."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gatewayctl.simulator.messages_replies import MAKER
from gatewayctl.simulator.request import Body, strings
from gatewayctl.simulator.rules import Rules, beyond, objects, refused, unknown

_FIELDS: Final = frozenset(
    [
        "betas",
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "fallbacks",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user_profile_id",
    ]
)
_ID: Final = re.compile("[a-zA-Z0-9_-]+")
_NAME: Final = re.compile("[a-zA-Z0-9_-]{1,128}")
_LEAST_BUDGET: Final = 1024
_MOST_MARKS: Final = 4
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_ENABLED: Final = "enabled"


def check(body: Body, rules: Rules) -> None:
    """Refuse, by raising ``Refused``, what Anthropic does not take."""
    fields = body.fields
    _check_fields(fields, rules)
    _check_thinking(fields)
    _check_tools(fields)
    turns = [turn for _, turn in objects(fields["messages"])]
    if turns[0].get("role") == "assistant":
        raise refused('messages: first message must use the "user" role')
    for index, turn in enumerate(turns):
        _check_turn(index, turn, is_last=index == len(turns) - 1)
        for number, block in objects(turn.get("content")):
            _check_block(f"messages.{index}.content.{number}", block, rules)
    for _, block in objects(fields.get("system")):
        _check_text("system", block)
    _check_calls(turns)
    thinking = fields.get("thinking")
    # Anthropic itself now answers such a turn without thinking; others refuse it still.
    if rules.strict and isinstance(thinking, dict) and thinking.get("type") == _ENABLED:
        _check_opening(turns)


def _check_fields(fields: Mapping[str, Any], rules: Rules) -> None:
    stranger = unknown(fields, _FIELDS)
    if rules.strict and stranger is not None:
        raise refused(f"{stranger}: Extra inputs are not permitted")
    for name in ("temperature", "top_p"):
        if beyond(fields, name, 0, 1):
            raise refused(f"{name}: Input should be between 0 and 1")
    for sequence in strings(fields.get("stop_sequences")):
        if not sequence.strip():
            raise refused("stop_sequences: each stop sequence must contain non-whitespace")
    marks = sum(_marks(fields.get(name)) for name in ("system", "tools", "messages"))
    if marks > _MOST_MARKS:
        raise refused(
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {marks}."
        )


def _marks(value: object) -> int:
    """Count the marked blocks below a list of blocks, tools or turns."""
    found = 0
    for _, item in objects(value):
        found += item.get("cache_control") is not None
        found += _marks(item.get("content"))
    return found


def _check_thinking(fields: Mapping[str, Any]) -> None:
    thinking = fields.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if not isinstance(thinking, dict) or kind not in (_ENABLED, "adaptive"):
        return
    budget = thinking.get("budget_tokens")
    if kind == _ENABLED and not isinstance(budget, int):
        raise refused("thinking.enabled.budget_tokens: Field required")
    if isinstance(budget, int) and kind == _ENABLED:
        if budget < _LEAST_BUDGET:
            raise refused(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to "
                f"{_LEAST_BUDGET}"
            )
        if budget >= (fields.get("max_tokens") or 0):
            raise refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if fields.get("temperature") not in (None, 1):
        raise refused(
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
        )
    if fields.get("top_k") is not None:
        raise refused("`top_k` must be unset when thinking is enabled or in adaptive mode.")
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        raise refused("Thinking may not be enabled when tool_choice forces tool use.")


def _check_tools(fields: Mapping[str, Any]) -> None:
    names: set[str] = set()
    for index, tool in objects(fields.get("tools")):
        if tool.get("type") not in (None, "custom"):
            continue
        name = tool.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            pattern = "'^[a-zA-Z0-9_-]{1,128}$'"
            raise refused(f"tools.{index}.custom.name: String should match pattern {pattern}")
        if name in names:
            raise refused("tools: Tool names must be unique.")
        names.add(name)
        if not isinstance(tool.get("input_schema"), dict):
            raise refused(f"tools.{index}.custom.input_schema: Field required")
    if fields.get("tool_choice") is not None and not fields.get("tools"):
        raise refused("tool_choice may only be specified while providing tools.")


def _check_turn(index: int, turn: Mapping[str, Any], *, is_last: bool) -> None:
    role, content = turn.get("role"), turn.get("content")
    if role not in ("user", "assistant", "system"):
        raise refused(f"messages.{index}.role: Input should be 'user' or 'assistant'")
    if content is None:
        raise refused(f"messages.{index}.content: Field required")
    is_prefill = is_last and role == "assistant"
    if not content and not is_prefill:
        raise refused(
            f"messages.{index}: all messages must have non-empty content except for the optional "
            "final assistant message"
        )
    if is_prefill and isinstance(content, str) and content != content.rstrip():
        raise refused("messages: final assistant content cannot end with trailing whitespace")


def _check_block(place: str, block: Mapping[str, Any], rules: Rules) -> None:
    match block.get("type"):
        case "text":
            _check_text("messages", block)
        case "tool_use":
            name = block.get("id")
            if not isinstance(name, str) or not _ID.fullmatch(name):
                pattern = "'^[a-zA-Z0-9_-]+$'"
                raise refused(f"{place}.tool_use.id: String should match pattern {pattern}")
            if not isinstance(block.get("input"), dict):
                raise refused(f"{place}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            for _, part in objects(block.get("content")):
                _check_text("messages", part)
        case "thinking" | "redacted_thinking":
            _check_thought(place, block, rules)
        case _:
            return


def _check_text(place: str, block: Mapping[str, Any]) -> None:
    if block.get("type") != "text":
        return
    text = block.get("text")
    if not isinstance(text, str):
        raise refused(f"{place}: text.text: Field required")
    if not text:
        raise refused(f"{place}: text content blocks must be non-empty")
    if not text.strip():
        raise refused(f"{place}: text content blocks must contain non-whitespace text")


def _check_thought(place: str, block: Mapping[str, Any], rules: Rules) -> None:
    """Refuse a thought that is not Anthropic's own, or not as it was written."""
    kind = block["type"]
    name = "signature" if kind == "thinking" else "data"
    if block.get(name) is None:
        raise refused(f"{place}.{kind}.{name}: Field required")
    seal = rules.seal(MAKER, block[name])
    if seal is None:
        raise refused(f"{place}: Invalid `{name}` in `{kind}` block")
    text = block.get("thinking")
    if text and not seal.is_of(text):
        raise refused(
            f"{place}: `thinking` or `redacted_thinking` blocks in the latest assistant message "
            "cannot be modified. These blocks must remain as they were in the original response."
        )


def _check_calls(turns: list[Mapping[str, Any]]) -> None:
    """Refuse results that answer no call of the turn before, and calls without one in the next."""
    seen: set[str] = set()
    pending: list[str] = []
    for index, turn in enumerate(turns):
        for number, name in _ids(turn, "tool_result", "tool_use_id"):
            if name not in pending:
                raise refused(
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in "
                    f"`tool_result` blocks: {name}. Each `tool_result` block must have a "
                    "corresponding `tool_use` block in the previous message."
                )
        answered = {name for _, name in _ids(turn, "tool_result", "tool_use_id")}
        left = [name for name in pending if name not in answered]
        if left:
            _refuse_unanswered(index - 1, left)
        pending = [name for _, name in _ids(turn, "tool_use", "id")]
        if seen.intersection(pending) or len(set(pending)) < len(pending):
            raise refused("messages: `tool_use` ids must be unique")
        seen.update(pending)
    if pending:
        _refuse_unanswered(len(turns) - 1, pending)


def _refuse_unanswered(index: int, names: list[str]) -> None:
    raise refused(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(names)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )


def _ids(turn: Mapping[str, Any], kind: str, name: str) -> Iterator[tuple[int, str]]:
    for number, block in objects(turn.get("content")):
        if block.get("type") == kind:
            yield number, str(block.get(name))


def _check_opening(turns: list[Mapping[str, Any]]) -> None:
    """Refuse a turn under way that calls tools without the thoughts before it."""
    for index, turn in reversed(list(enumerate(turns))):
        if turn.get("role") != "assistant":
            if any(_ids(turn, "tool_result", "tool_use_id")):
                continue
            return
        blocks = [block for _, block in objects(turn.get("content"))]
        first = blocks[0].get("type") if blocks else "text"
        if first not in _THOUGHTS:
            raise refused(
                f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, "
                f"but found `{first}`. When `thinking` is enabled, a final `assistant` message "
                "must start with a thinking block (preceeding the lastmost set of `tool_use` and "
                "`tool_result` blocks)."
            )
        return
