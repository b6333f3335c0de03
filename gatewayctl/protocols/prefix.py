"""Which earlier requests a request begins with, told by digests of what counts in it.

Agents send the whole conversation at every turn, so a request begins with the one before it, and
what that one was metered as is known. A chain of keyed digests, one after each message, finds it
again: two requests have the same digest where everything that counts as input is the same up to
there, and what stands before all messages (instructions, tools, the format of the reply) is too.
What does not count is in none of them, so markers for caches may move and a text may become a list
with one text in it.

Instructions hold lines that change at every turn (a date, Claude Code's line of attribution): of
those only the length counts. A history that was edited, compacted or branched off has a shorter
prefix in common, or none. No text is kept, and without the key nobody can tell what a digest is of.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from gatewayctl.core.anchors import Added, Anchor, Anchored
from gatewayctl.core.shape import Measured, Segment
from gatewayctl.protocols import body as request_body
from gatewayctl.protocols import opening
from gatewayctl.protocols.codec import Reader
from gatewayctl.protocols.measure import Tally, compact, strings_in

SIZE: Final = 16
"""Bytes of a digest."""

LOOKED_BACK: Final = 1024
"""How many messages may have been added since the anchor: more are not looked for."""

Known = Callable[[str, bytes], Anchor | None]
"""Returns the anchor of a model (by full id) that a digest is known for."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The longest known prefix of a request: how many messages it has, and what it came to.

    ``rest`` is how many come after it.
    """

    skip: int
    rest: int
    anchor: Anchor


def prefixes(reader: Reader, body: bytes, key: bytes) -> tuple[bytes, ...]:
    """Return a digest after each of the last ``LOOKED_BACK`` messages, the whole request's last.

    ``key`` (up to 64 bytes) keeps digests from being guessed. Raises ``RequestInvalid`` as
    ``shape`` does.
    """
    chain = _Chain(key)
    earlier = request_body.read(_EARLIER, body)
    for pointer in (earlier.previous_response_id, earlier.conversation, earlier.prompt):
        chain.head("earlier", bytes(pointer))
    reader.walk(body, chain)
    return chain.done()


def matches(
    digests: Sequence[bytes], messages: int, models: Iterable[str], known: Known
) -> dict[str, Match]:
    """Return each model's longest known prefix, of those that have one.

    ``messages`` is how many the request has (``Measured.messages``).
    """
    found = {}
    for model in models:
        for added, digest in enumerate(reversed(digests)):
            anchor = known(model, digest)
            if anchor is not None:
                found[model] = Match(skip=messages - added, rest=added, anchor=anchor)
                break
    return found


def measured_after(reader: Reader, body: bytes, skip: int | None) -> Added:
    """Return the measure of the messages after the first ``skip``, nothing else in it.

    None skips all but the last turn: the model's own last messages, and what came after them.
    Raises ``RequestInvalid`` as ``shape`` does.
    """
    own = reader.own_turns(body)
    after = _After(own, _before_last(own) if skip is None else skip)
    reader.walk(body, after)
    return Added(replied=after.replied.done(), rest=after.rest.done())


def _before_last(own: Sequence[bool]) -> int:
    """Return how many messages stand before the model's last turn."""
    at = len(own)
    while at and not own[at - 1]:
        at -= 1
    while at and own[at - 1]:
        at -= 1
    return at


def recalled(
    reader: Reader, body: bytes, key: bytes, models: Iterable[str], known: Known
) -> dict[str, Anchored]:
    """Return what each model's replies to earlier turns say about this one, by full id.

    For who may take the time: the steps are those above, one after another.
    """
    messages = len(reader.own_turns(body))
    found = matches(prefixes(reader, body, key), messages, models, known)
    rests = to_measure(found)
    return anchored(found, {skip: measured_after(reader, body, skip) for skip in rests})


def to_measure(found: Mapping[str, Match]) -> frozenset[int]:
    """Return after how many messages a measure is wanted: not where nothing was added."""
    return frozenset(match.skip for match in found.values() if match.rest)


def anchored(found: Mapping[str, Match], added: Mapping[int, Added]) -> dict[str, Anchored]:
    """Return each model's anchor with what was added to it, of the measures by their skip."""
    return {
        model: Anchored(anchor=match.anchor, added=added.get(match.skip, _NOTHING))
        for model, match in found.items()
    }


_NOTHING = Added(replied=Measured(segments={}), rest=Measured(segments={}))


class _Earlier(msgspec.Struct):
    """Where a request says what stands before its messages without holding it."""

    previous_response_id: msgspec.Raw = msgspec.Raw()
    conversation: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()


_EARLIER = msgspec.json.Decoder(_Earlier)


class _Chain:
    """A ``Sink`` that makes the digests; ``done`` gives them, after each message.

    The head may go on after the messages, so that it is chained to each of them at the end.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._head = blake2b(key=key, digest_size=SIZE)
        self._messages = blake2b(key=key, digest_size=SIZE)
        self._ends: deque[bytes] = deque(maxlen=LOOKED_BACK)
        self._begun = self._spoken = False

    def done(self) -> tuple[bytes, ...]:
        """Return the digest after each message."""
        if self._begun:
            self._end()
        head = self._head.digest()
        return tuple(
            blake2b(head + end, key=self._key, digest_size=SIZE).digest() for end in self._ends
        )

    def head(self, kind: str, data: bytes) -> None:
        """Take a piece of what stands before all messages."""
        self._head.update(b"%s %d " % (kind.encode(), len(data)))
        self._head.update(data)

    def message(self, segment: Segment) -> None:
        """Begin a message."""
        if self._begun:
            self._end()
        self._begun = True
        self._spoken = self._spoken or segment is not Segment.SYSTEM

    def text(self, segment: Segment, text: str) -> None:
        """Take a text; of the instructions' lines that change, the length."""
        data = text.encode(errors="surrogatepass")
        if not data:
            return
        if segment is Segment.SYSTEM and not self._spoken:
            data = _settled(data)
        self._take(segment, "text", data)

    def thinking(self, segment: Segment, text: str) -> None:
        """Take what a model thought."""
        self.text(segment, text)

    def name(self, segment: Segment, name: Any) -> None:
        """Take a name."""
        self._json(segment, "name", name)

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        """Take a call's name and arguments."""
        self._json(segment, "call", name)
        self._json(segment, "with", arguments)

    def json(self, segment: Segment, value: Any) -> None:
        """Take a value."""
        self._json(segment, "json", value)

    def strings(self, segment: Segment, value: Any) -> None:
        """Take all strings in a value: one that stands alone counts like a list with it."""
        for text in strings_in(value, lambda data: self.opaque(segment, data)):
            self.text(segment, text)

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Take encrypted text."""
        self._json(segment, "opaque", base64)

    def listed(self, count: int) -> None:
        """Take tokens that stand for a text: only how many they are."""
        self._json(Segment.MESSAGES, "listed", count)

    def tool(self, definition: Any) -> None:
        """Take a tool definition."""
        self._json(Segment.TOOLS, "tool", definition)

    def image(self, data: Any, media_type: Any, detail: Any) -> None:
        """Take an image by its data."""
        self._json(Segment.MESSAGES, "image", [data, media_type, detail])

    def document(self, data: Any, media_type: Any) -> None:
        """Take a document by its data."""
        self._json(Segment.MESSAGES, "document", [data, media_type])

    def audio(self, data: Any, media_type: Any) -> None:
        """Take a clip of sound by its data."""
        self._json(Segment.MESSAGES, "audio", [data, media_type])

    def _end(self) -> None:
        self._ends.append(self._messages.digest())
        self._messages.update(b"next ")

    def _json(self, segment: Segment, kind: str, value: Any) -> None:
        if value is not None:
            self._take(segment, kind, compact(_unmarked(value)).encode(errors="surrogatepass"))

    def _take(self, segment: Segment, kind: str, data: bytes) -> None:
        if segment in _BEFORE or not self._begun:
            self.head(kind, data)
            return
        self._messages.update(b"%s %d " % (kind.encode(), len(data)))
        self._messages.update(data)


_BEFORE = (Segment.TOOLS, Segment.OTHER)
_MARKER = "cache_control"


def _unmarked(value: Any) -> Any:
    """Return a definition or block without the marker of where a cache ends."""
    if isinstance(value, dict) and _MARKER in value:
        return {name: each for name, each in value.items() if name != _MARKER}
    return value


def _settled(text: bytes) -> bytes:
    """Return instructions with the length of each line that may change in its place."""
    kept = []
    at = 0
    for start, end in opening.changing(text):
        kept += [text[at:start], b"\0%d\n" % (end - start)]
        at = end
    return b"".join([*kept, text[at:]])


class _After:
    """A ``Sink`` that measures the messages after the first ``skip``.

    ``replied`` are those of the model that come first, ``rest`` all others.
    """

    def __init__(self, own: Sequence[bool], skip: int) -> None:
        self.replied = Tally()
        self.rest = Tally()
        self._own = own
        self._skip = skip
        self._seen = 0
        self._replying = True
        self._to: Tally | None = None

    def message(self, segment: Segment) -> None:
        """Begin a message."""
        at = self._seen
        self._seen += 1
        if at < self._skip:
            return
        self._replying = self._replying and at < len(self._own) and self._own[at]
        self._to = self.replied if self._replying else self.rest
        self._to.message(segment)

    def text(self, segment: Segment, text: str) -> None:
        """Measure a text."""
        if self._to is not None and segment not in _BEFORE:
            self._to.text(segment, text)

    def thinking(self, segment: Segment, text: str) -> None:
        """Measure what a model thought."""
        if self._to is not None and segment not in _BEFORE:
            self._to.thinking(segment, text)

    def name(self, segment: Segment, name: Any) -> None:
        """Measure a name."""
        if self._to is not None:
            self._to.name(segment, name)

    def call(self, segment: Segment, name: Any, arguments: Any) -> None:
        """Measure a call."""
        if self._to is not None:
            self._to.call(segment, name, arguments)

    def json(self, segment: Segment, value: Any) -> None:
        """Measure a value."""
        if self._to is not None and segment not in _BEFORE:
            self._to.json(segment, value)

    def strings(self, segment: Segment, value: Any) -> None:
        """Measure all strings in a value."""
        if self._to is not None and segment not in _BEFORE:
            self._to.strings(segment, value)

    def opaque(self, segment: Segment, base64: Any) -> None:
        """Measure encrypted text."""
        if self._to is not None:
            self._to.opaque(segment, base64)

    def listed(self, count: int) -> None:
        """Measure tokens."""
        if self._to is not None:
            self._to.listed(count)

    def tool(self, definition: Any) -> None:
        """Leave out a tool: it stands before all messages."""

    def image(self, data: Any, media_type: Any, detail: Any) -> None:
        """Measure an image."""
        if self._to is not None:
            self._to.image(data, media_type, detail)

    def document(self, data: Any, media_type: Any) -> None:
        """Measure a document."""
        if self._to is not None:
            self._to.document(data, media_type)

    def audio(self, data: Any, media_type: Any) -> None:
        """Measure a clip of sound."""
        if self._to is not None:
            self._to.audio(data, media_type)
