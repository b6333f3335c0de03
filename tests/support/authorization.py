"""An OAuth server that nobody here wrote: oauthlib's, with PKCE required and rotating tokens.

The rules of the protocol are oauthlib's; here are the shelves that it keeps its things on, and a
shell of HTTP around it. Whoever opens the login page is logged in at once, unless ``declines``.
"""
# ruff: noqa: ARG002 - oauthlib decides what its shelves are told

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from oauthlib.common import Request
from oauthlib.oauth2 import (
    AccessDeniedError,
    FatalClientError,
    OAuth2Error,
    RequestValidator,
    WebApplicationServer,
)

CLIENT = "gatewayctl-test"
SCOPES = ("models", "profile")
_COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class _Client:
    """What oauthlib asks of a client."""

    client_id = CLIENT


class Shelves(RequestValidator):
    """Codes and tokens, each good once or until it is replaced."""

    def __init__(self, redirects: tuple[str, ...]) -> None:
        super().__init__()
        self.redirects = redirects
        self.codes: dict[str, dict[str, Any]] = {}
        self.access: set[str] = set()
        self.refresh: set[str] = set()

    def validate_client_id(self, client_id: str, request: Request, *_: Any, **__: Any) -> bool:
        """Know one client."""
        return client_id == CLIENT

    def client_authentication_required(self, request: Request, *_: Any, **__: Any) -> bool:
        """Have public clients alone: PKCE stands in for a secret."""
        return False

    def authenticate_client_id(self, client_id: str, request: Request, *_: Any, **__: Any) -> bool:
        """Take a client by its name."""
        request.client = _Client()
        return client_id == CLIENT

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *_: Any, **__: Any
    ) -> bool:
        """Take what is registered; a loopback address at any port (RFC 8252, 7.3)."""
        parts = urlsplit(redirect_uri)
        portless = f"{parts.scheme}://{parts.hostname}{parts.path}"
        return redirect_uri in self.redirects or portless in self.redirects

    def validate_response_type(self, *_: Any, **__: Any) -> bool:
        """Leave it to oauthlib, which knows one."""
        return True

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Any, request: Request, *_: Any, **__: Any
    ) -> bool:
        """Grant what there is."""
        return set(scopes) <= set(SCOPES)

    def get_default_scopes(self, *_: Any, **__: Any) -> list[str]:
        """Grant everything to who asks for nothing."""
        return list(SCOPES)

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require it."""
        return True

    def save_authorization_code(
        self, client_id: str, code: Any, request: Request, *_: Any, **__: Any
    ) -> None:
        """Keep a code with what it was asked for."""
        self.codes[code["code"]] = {
            "challenge": request.code_challenge,
            "method": request.code_challenge_method,
            "redirect_uri": request.redirect_uri,
            "scopes": request.scopes,
        }

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *_: Any, **__: Any
    ) -> bool:
        """Take a code that was given out and not used yet."""
        kept = self.codes.get(code)
        if kept is None:
            return False
        request.user = "me"
        request.scopes = kept["scopes"]
        return True

    def get_code_challenge(self, code: str, request: Request) -> str:
        """Return what the login page was told."""
        return str(self.codes[code]["challenge"])

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return what the login page was told."""
        return str(self.codes[code]["method"])

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: Any,
        request: Request,
        *_: Any,
        **__: Any,
    ) -> bool:
        """Hold the address against the one that the login page was told."""
        return bool(self.codes[code]["redirect_uri"] == redirect_uri)

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *_: Any, **__: Any
    ) -> None:
        """Let nobody use it again."""
        del self.codes[code]

    def validate_grant_type(self, *_: Any, **__: Any) -> bool:
        """Leave it to oauthlib's endpoints."""
        return True

    def save_bearer_token(self, token: Any, request: Request, *_: Any, **__: Any) -> str | None:
        """Keep new tokens; a refresh token that was used is gone."""
        self.refresh.discard(request.refresh_token or "")
        self.access.add(token["access_token"])
        self.refresh.add(token["refresh_token"])
        return None

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *_: Any, **__: Any
    ) -> bool:
        """Take one that was not used yet."""
        request.user = "me"
        return refresh_token in self.refresh

    def rotate_refresh_token(self, request: Request) -> bool:
        """Give a new one each time."""
        return True

    def get_original_scopes(self, *_: Any, **__: Any) -> list[str]:
        """Return what was granted first."""
        return list(SCOPES)

    def validate_bearer_token(self, token: str, scopes: list[str], request: Request) -> bool:
        """Tell whether an access token is one of those given out."""
        return token in self.access


class AuthorizationServer:
    """The server at ``url``. ``encoding`` is the one that its token endpoint reads.

    ``requests`` are the bodies of all token requests, ``shown`` the queries of the login page.
    ``asked`` is set by a token request, which waits for ``answers``.
    """

    def __init__(self, redirects: tuple[str, ...], encoding: str, lifetime: int) -> None:
        self.shelves = Shelves(redirects)
        self.url = ""
        self.encoding = encoding
        self.declines = False
        self.requests: list[dict[str, str]] = []
        self.shown: list[dict[str, str]] = []
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.answers.set()
        self._oauth = WebApplicationServer(self.shelves, token_expires_in=lifetime)

    def config(self, name: str, **more: str) -> str:
        """Return a config's table of a provider that is logged in to here."""
        lines = "\n".join(f"{key} = {value}" for key, value in more.items())
        return f"""
            [providers.{name}]
            kind = "openai-compatible"
            base_url = "{self.url}/v1"
            auth = "oauth"
            [providers.{name}.oauth]
            authorize_url = "{self.url}/authorize?tenant=t1"
            token_url = "{self.url}/token"
            client_id = "{CLIENT}"
            scopes = ["models", "profile"]
            encoding = "{self.encoding}"
            {lines}
        """

    async def authorize(self, request: web.Request) -> web.Response:
        """Serve the login page of a person who is logged in already."""
        self.shown.append(dict(request.query))
        url = _secure(str(request.url))
        try:
            scopes, _ = self._oauth.validate_authorization_request(url)
            if self.declines:
                raise AccessDeniedError(state=request.query.get("state"))
            headers, _, status = self._oauth.create_authorization_response(url, scopes=scopes)
        except FatalClientError as error:
            return web.Response(status=400, text=error.description or error.error)
        except OAuth2Error as error:
            headers, status = {"Location": error.in_uri(request.query["redirect_uri"])}, 302
        return web.Response(status=status, headers=headers)

    async def token(self, request: web.Request) -> web.Response:
        """Serve the token endpoint, in the encoding that it reads."""
        form = request.content_type == "application/x-www-form-urlencoded"
        if form is not (self.encoding == "form"):
            return web.json_response({"error": "invalid_request"}, status=400)
        body = await (request.post() if form else request.json())
        self.requests.append({str(key): str(value) for key, value in body.items()})
        self.asked.set()
        await self.answers.wait()
        return self._answered(self.requests[-1])

    def _answered(self, body: Mapping[str, str]) -> web.Response:
        headers, text, status = self._oauth.create_token_response(
            _secure(f"{self.url}/token"),
            http_method="POST",
            body=urlencode(body),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        return web.Response(status=status, text=text, headers=headers)

    async def complete(self, request: web.Request) -> web.Response:
        """Answer a chat of whoever holds an access token."""
        url = _secure(str(request.url))
        valid, _ = self._oauth.verify_request(url, headers=dict(request.headers))
        if not valid:
            error = {"message": "no such token", "type": "invalid_request_error", "code": None}
            return web.json_response({"error": error}, status=401)
        return web.json_response(_COMPLETION)


def _secure(url: str) -> str:
    """Return a URL as oauthlib wants it: it takes no part in what is not encrypted."""
    return url.replace("http://", "https://", 1)


@contextlib.asynccontextmanager
async def authorization_server(
    *, redirect: str = "http://127.0.0.1/callback", encoding: str = "json", lifetime: int = 3600
) -> AsyncIterator[AuthorizationServer]:
    """Run the server on loopback; its access tokens live ``lifetime`` seconds."""
    server = AuthorizationServer((redirect,), encoding, lifetime)
    app = web.Application()
    app.router.add_get("/authorize", server.authorize)
    app.router.add_post("/token", server.token)
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
