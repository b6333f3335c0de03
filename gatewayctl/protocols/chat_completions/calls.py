"""Tells apart the calls in the deltas of a choice, however a server numbers and names them.

OpenAI counts calls by ``index`` and names each once. Others leave out the index or give all calls
the same, leave out ids or make a new one for each delta, repeat the name, or send whole calls.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from gatewayctl.core.conversation import Seal
from gatewayctl.core.events import CallBegun, CallDelta
from gatewayctl.protocols import tool_names
from gatewayctl.protocols.chat_completions import thoughts
from gatewayctl.protocols.sequence import Arguments
from gatewayctl.protocols.sse import BadFrame


class _Open:
    """A call that has begun: its number, its id as the server gave it, what it is called with."""

    def __init__(self, number: int, given: str, name: str) -> None:
        self.number = number
        self.given = given
        self.name = name
        self.started = False
        self._arguments = Arguments()

    @property
    def is_whole(self) -> bool:
        """Tell whether its arguments are a whole JSON object."""
        return self._arguments.are_whole

    def add(self, arguments: str) -> None:
        """Read on in its arguments."""
        self.started = True
        self._arguments.add(arguments)


class Calls:
    """Reads the call deltas of one choice, in order."""

    MOST = 4096
    MOST_HELD = 16 * 1024 * 1024  # characters of arguments whose call has no name yet

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._by_id: dict[str, _Open] = {}
        self._unnamed: dict[int, tuple[str, list[str]]] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._calls)

    def read(self, delta: Any) -> Iterator[CallBegun | CallDelta]:
        """Yield what one element of ``tool_calls`` says, nothing for one of unknown form."""
        if not isinstance(delta, dict):
            return
        inner = next(
            (it for it in (delta.get("function"), delta.get("custom")) if isinstance(it, dict)),
            {},
        )
        given = _text(delta.get("id"))
        name = _text(inner.get("name"))
        arguments = _arguments(inner.get("arguments", inner.get("input")))
        index = delta.get("index")
        index = index if type(index) is int else None
        call = self._known(index, given, name, arguments)
        if call is None:
            if not name and index is not None:
                self._hold(index, given, arguments)
                return
            held, pieces = self._unnamed.pop(index, ("", [])) if index is not None else ("", [])
            call = self._begin(index, given or held, name)
            yield self._begun(call, _seal(delta))
            arguments = "".join(pieces) + arguments
        if arguments:
            call.add(arguments)
            yield CallDelta(call=call.number, arguments=arguments, choice=self._choice)

    def older(self, delta: Any) -> Iterator[CallBegun | CallDelta]:
        """Yield what a ``function_call`` says, the form of a call before there were tools."""
        if isinstance(delta, dict):
            yield from self.read({"index": 0, "function": delta})

    def rest(self) -> Iterator[CallBegun | CallDelta]:
        """Yield calls that were never named, for the client to refuse."""
        for index, (given, arguments) in list(self._unnamed.items()):
            call = self._begin(index, given, "")
            yield self._begun(call, None)
            if text := "".join(arguments):
                yield CallDelta(call=call.number, arguments=text, choice=self._choice)
        self._unnamed.clear()

    def _known(self, index: int | None, given: str, name: str, arguments: str) -> _Open | None:
        """Return the call that a delta goes on with, None where it begins another."""
        found = self._by_id.get(given) if given else None
        if found is None and index is not None:
            found = self._by_index.get(index)
        if found is None and self._calls and index not in self._unnamed:
            # Without an index, or with one that the call was not begun with.
            found = self._calls[-1] if index is None or not (name or given) else None
        if found is None or not name:
            return found
        if name != found.name or (found.is_whole and arguments.strip()):
            return None
        if given and found.given and given != found.given:
            return found if found.started and not found.is_whole else None  # an id for each delta
        return found

    def _begin(self, index: int | None, given: str, name: str) -> _Open:
        if len(self._calls) >= self.MOST:
            raise BadFrame("more tool calls than any answer has")
        call = _Open(len(self._calls), "" if given in self._by_id else given, name)
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        if call.given:
            self._by_id[call.given] = call
        return call

    def _begun(self, call: _Open, seal: Seal | None) -> CallBegun:
        name = tool_names.original(call.name)
        return CallBegun(call=call.number, id=call.given, name=name, seal=seal, choice=self._choice)

    def _hold(self, index: int, given: str, arguments: str) -> None:
        self._held += len(arguments)
        if len(self._unnamed) >= self.MOST or self._held > self.MOST_HELD:
            raise BadFrame("more of tool calls without a name than any answer has")
        known, pieces = self._unnamed.setdefault(index, (given, []))
        self._unnamed[index] = (known or given, pieces)
        if arguments:
            pieces.append(arguments)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    """Return arguments as text; some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return msgspec.json.encode(value).decode()
    except RecursionError as error:
        raise BadFrame("the arguments of a tool call are nested too deeply") from error


def _seal(delta: dict[str, Any]) -> Seal | None:
    """Return what Google's compatible API puts beside a call, which it wants back."""
    extra = delta.get("extra_content")
    if not isinstance(extra, dict) or not extra:
        return None
    return Seal(form=thoughts.CALLED, data=_arguments(extra))
