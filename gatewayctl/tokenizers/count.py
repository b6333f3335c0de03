"""A request counted as OpenAI publishes it: its text with a vocabulary, and what is added to that.

The rules are those of "How to count tokens with tiktoken" in OpenAI's cookbook
(https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken): so many tokens
per message, name and reply, and a formula for tool definitions. Where they are silent (calls,
nested schemas, other protocols) the nearest published rule is applied. Chat templates of other
models frame messages much alike, but write tool definitions out as JSON: so these are counted with
a tokenizer file. Images, documents and audio are not text: ``core.estimate`` adds them.
"""

from pathlib import Path
from typing import Any

from gatewayctl.core.estimate import TOOL_TOKENS, Counted
from gatewayctl.core.shape import Segment
from gatewayctl.protocols.catalog import reader_of
from gatewayctl.protocols.measure import compact, strings_in
from gatewayctl.tokenizers import huggingface, tiktoken
from gatewayctl.tokenizers.encoder import Encoder

_MESSAGE = 3 + 1  # its frame, and its role, which is one token in every vocabulary
_NAME = 1
_REPLY = 3  # the start of the reply, which the model is given
_CALL = 3  # framed like a message; not published

# Tool definitions: per function, per set of properties, per property, per list of values and
# value in it, and once for all functions.
_FUNCTION = {"o200k_base": 7, "cl100k_base": 10}
_PROPERTIES = 3
_PROPERTY = 3
_ENUM = -3
_ENUM_ITEM = 3
_FUNCTIONS_END = 12

_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")
_SUBSCHEMAS = ("items", "anyOf", "oneOf", "allOf", "prefixItems", "additionalProperties")
_DEFINITIONS = ("$defs", "definitions")

_OPAQUE_BYTES = 4  # bytes of encrypted text per token: no vocabulary can be applied to it


def count(reader: str, body: bytes, vocabulary: str) -> Counted:
    """Count a request's tokens with a vocabulary, in this process and without a pause.

    ``reader`` is whose request it is, by the name in ``protocols.catalog``.

    ``vocabulary`` is the name of a packaged one or the absolute path of a tokenizer file. Raises
    ``RequestInvalid`` as the protocol's ``shape`` does, and ``CountUnavailable`` when the
    vocabulary is not packaged or damaged, or the file cannot be used.
    """
    if Path(vocabulary).is_absolute():
        collector = Collector(huggingface.encoder(vocabulary))
    else:
        collector = Collector(tiktoken.encoder(vocabulary), _FUNCTION[vocabulary])
    reader_of(reader).walk(body, collector)
    return collector.done()


class Collector:
    """A ``Sink`` that counts one request's tokens piece by piece; ``done`` gives the count.

    ``function`` is what one function costs besides its text by the published formula, None where
    definitions are written out as JSON.
    """

    def __init__(self, encoder: Encoder, function: int | None = None) -> None:
        self._encoder = encoder
        self._function = function
        self._tokens: dict[Segment, int] = {}
        self._overhead = _REPLY
        self._in_message = False
        self._tools = 0

    def message(self, segment: Segment) -> None:  # noqa: ARG002
        """Begin a message."""
        self._in_message = True
        self._overhead += _MESSAGE

    def text(self, segment: Segment, text: str) -> None:
        """Count a text; instructions that stand before all messages are a message themselves."""
        if not text:
            return
        if segment is Segment.SYSTEM and not self._in_message:
            self.message(segment)
        self._count(segment, text)

    def thinking(self, segment: Segment, text: str) -> None:
        """Count what a model thought."""
        self.text(segment, text)

    def name(self, segment: Segment, name: Any) -> None:
        """Count a name."""
        if isinstance(name, str):
            self._overhead += _NAME
            self.text(segment, name)

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        """Count a tool call: its name and arguments, framed."""
        self._overhead += _CALL
        for part in (name, arguments):
            if isinstance(part, str):
                self.text(segment, part)
            else:
                self.json(segment, part)

    def json(self, segment: Segment, value: Any) -> None:
        """Count a JSON value by its compact text, null as nothing."""
        if value is not None:
            self.text(segment, compact(value))

    def strings(self, segment: Segment, value: Any) -> None:
        """Count every string of a value of unknown form that is text."""
        for text in strings_in(value, lambda data: self.opaque(segment, data)):
            self.text(segment, text)

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Count encrypted text by its length: base64 has four characters for three bytes."""
        if isinstance(base64, str):
            size = len(base64) * 3 // 4
            self._add(segment, -(-size // _OPAQUE_BYTES))

    def listed(self, count: int) -> None:
        """Leave out tokens that are no text: how many they are is known without a vocabulary."""

    def tool(self, definition: Any) -> None:
        """Count a tool definition: functions by the published formula, others by their JSON."""
        if not self._tools:
            self._overhead += _FUNCTIONS_END
        self._tools += 1
        if self._function is None:
            self._overhead += TOOL_TOKENS
            self.json(Segment.TOOLS, definition)
            return
        for function in _functions(definition):
            self._overhead += self._function
            match function:
                case {"name": str() as name}:
                    description = function.get("description")
                    self._line(name, _unstopped(description))
                    self._schemas([function.get(member) for member in _SCHEMAS])
                    self.json(Segment.TOOLS, function.get("format"))  # a custom tool's grammar
                case _:
                    self.json(Segment.TOOLS, function)

    def image(self, data: Any, media_type: Any, detail: Any) -> None:
        """Leave an image to the estimate."""

    def document(self, data: Any, media_type: Any) -> None:
        """Leave a document to the estimate."""

    def audio(self, data: Any, media_type: Any) -> None:
        """Leave a clip of sound to the estimate."""

    def done(self) -> Counted:
        """Return what was counted."""
        return Counted(tokens=self._tokens, overhead=self._overhead)

    def _schemas(self, schemas: list[Any]) -> None:
        """Count the properties of JSON schemas and of those inside them, without recursion."""
        pending = schemas
        while pending:
            match pending.pop():
                case list() as schemas:
                    pending += schemas
                case dict() as schema:
                    pending += self._properties(schema.get("properties"))
                    for inner in _inner(schema):
                        self._unnamed(inner)
                        pending.append(inner)
                case _:
                    continue

    def _properties(self, properties: Any) -> list[Any]:
        """Count named properties; return their schemas."""
        if not isinstance(properties, dict) or not properties:
            return []
        self._overhead += _PROPERTIES
        for name, schema in properties.items():
            self._overhead += _PROPERTY
            known = schema if isinstance(schema, dict) else {}
            self._line(name, _type(known), _unstopped(known.get("description")))
            self._enum(known)
        return list(properties.values())

    def _unnamed(self, schema: dict[str, Any]) -> None:
        """Count what a schema inside a property says: one of its forms, or its elements'."""
        description = _unstopped(schema.get("description"))
        self._line(_type(schema), *([description] if description else []))
        self._enum(schema)

    def _enum(self, schema: dict[str, Any]) -> None:
        values = schema.get("enum")
        if isinstance(values, list):
            self._overhead += _ENUM + _ENUM_ITEM * len(values)
            for value in values:
                self._count(Segment.TOOLS, value if isinstance(value, str) else compact(value))

    def _line(self, *parts: str) -> None:
        self._count(Segment.TOOLS, ":".join(parts))

    def _count(self, segment: Segment, text: str) -> None:
        self._add(segment, self._encoder.count(text))

    def _add(self, segment: Segment, tokens: int) -> None:
        self._tokens[segment] = self._tokens.get(segment, 0) + tokens


def _functions(definition: Any) -> list[Any]:
    """Return the functions that a tool definition of any dialect holds, else the definition."""
    match definition:
        case {"function": dict() as function} | {"custom": dict() as function}:
            return [function]
        case {"type": "namespace", "tools": list() as functions}:
            return functions
        case _:
            return [definition]


def _inner(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas directly inside one, its properties' aside."""
    found: list[Any] = []
    for member in _SUBSCHEMAS:
        value = schema.get(member)
        found += value if isinstance(value, list) else [value]
    for member in _DEFINITIONS:
        value = schema.get(member)
        found += value.values() if isinstance(value, dict) else []
    return [inner for inner in found if isinstance(inner, dict)]


def _type(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case str() as name:
            return name
        case list() as names:
            return "|".join(name for name in names if isinstance(name, str))
        case _:
            return ""


def _unstopped(description: Any) -> str:
    """Return a description as the formula counts it: without the full stop that ends it."""
    return description.removesuffix(".") if isinstance(description, str) else ""
