"""An upstream that knows its callers by their key, and gives each key the reply it was told to."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import msgspec
from aiohttp import web

Reply = tuple[int, Mapping[str, str]]
"""A status, and headers besides."""

_ERRORS = {401: "invalid_api_key", 403: "permission_denied", 429: "rate_limit_exceeded"}


class Keyed(msgspec.Struct):
    """``base_url`` and, in order, the bare credentials of all calls; ``replies`` by credential."""

    base_url: str
    replies: dict[str, Reply]
    calls: list[str] = msgspec.field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one chat completion."""
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.calls.append(key)
        status, headers = self.replies.get(key, (200, {}))
        model = json.loads(await request.read())["model"]
        if status in _ERRORS:
            error = {"message": "no", "type": "invalid_request_error", "code": _ERRORS[status]}
            return web.json_response({"error": error}, status=status, headers=headers)
        message = {"role": "assistant", "content": "hi", "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [choice],
            "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
        }
        return web.json_response(body, status=status, headers=headers)


@contextlib.asynccontextmanager
async def keyed(replies: Mapping[str, Reply] | None = None) -> AsyncIterator[Keyed]:
    """Run such an upstream on a free port."""
    upstream = Keyed(base_url="", replies=dict(replies or {}))
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
