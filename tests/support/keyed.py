"""An upstream that knows its callers by their key, and gives each key the reply it was told to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import msgspec
from aiohttp import web

Reply = tuple[int, Mapping[str, str]]
"""A status, and headers besides."""

READ = 8
"""Tokens of input that each answer meters."""

_ERRORS = {
    400: "invalid_value",
    401: "invalid_api_key",
    403: "permission_denied",
    429: "rate_limit_exceeded",
}


class Keyed(msgspec.Struct):
    """``base_url`` and, in order, the bare credentials of all calls; ``replies`` by credential.

    An answer takes ``seconds``, to a credential that is ``held`` until that is set, and writes as
    many tokens as the request allows, at most 1,000.
    """

    base_url: str
    replies: dict[str, Reply]
    seconds: float = 0.0
    held: dict[str, asyncio.Event] = msgspec.field(default_factory=dict)
    calls: list[str] = msgspec.field(default_factory=list)
    headers: list[dict[str, str]] = msgspec.field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one chat completion."""
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.calls.append(key)
        self.headers.append(dict(request.headers))
        status, headers = self.replies.get(key, (200, {}))
        asked = json.loads(await request.read())
        await asyncio.sleep(self.seconds)
        if (held := self.held.get(key)) is not None:
            await held.wait()
        written = min(asked.get("max_tokens") or asked.get("max_completion_tokens") or 1, 1000)
        if status in _ERRORS:
            error = {"message": "no", "type": "invalid_request_error", "code": _ERRORS[status]}
            return web.json_response({"error": error}, status=status, headers=headers)
        message = {"role": "assistant", "content": "hi", "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
            "usage": {
                "prompt_tokens": READ,
                "completion_tokens": written,
                "total_tokens": READ + written,
            },
        }
        return web.json_response(body, status=status, headers=headers)


@contextlib.asynccontextmanager
async def keyed(
    replies: Mapping[str, Reply] | None = None, *, seconds: float = 0.0
) -> AsyncIterator[Keyed]:
    """Run such an upstream on a free port."""
    upstream = Keyed(base_url="", replies=dict(replies or {}), seconds=seconds)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        upstream.base_url = f"http://127.0.0.1:{port}"
        yield upstream
    finally:
        await runner.cleanup()
