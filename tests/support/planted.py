"""Secrets of every kind, planted where each may be, and an upstream that gives away what it gets.

Every one of them has ``canary`` in it, so that it is found wherever it comes to light, encoded or
cut short. What is done with them, and where they are looked for, is the tests' business.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from support.bills import Tokens
from support.metered import Answer
from support.upstream import SSE, Fin, RawRequest, Step, chunked, sized

from gatewayctl.storage.credentials import Credential, Vault

CORE: Final = "canary"
PROMPT: Final = "My canary-prompt-5e1c is a secret too."
KINDS: Final = (
    "env", "file", "command", "argument", "plain", "urlpass", "header", "first", "second", "access",
    "refresh", "borrowed", "proxypass", "tunnelpass", "sourcepass", "sourcepath", "deadpass",
)  # fmt: skip
"""What the gateway has; clients have ``forwarded`` besides."""

FORWARDED: Final = "sk-canary-forwarded-0badc0de"
PROVIDERS: Final = (
    "env", "file", "command", "plain", "urlpass", "header", "several", "oauth", "borrow",
    "proxied", "tunnelled", "dead", "forward",
)  # fmt: skip
WAYS: Final = (
    "echo-400", "echo-401", "echo-403", "echo-404", "echo-413", "echo-429", "echo-500",
    "page-500", "inside-200", "garbage-200", "headers-529", "stream-error", "stream-garbage",
    "cut", "fine-200",
)  # fmt: skip
"""How the upstream gives away what it was sent, by the name of the model."""


def secret(kind: str) -> str:
    """Return the planted secret of a kind."""
    return f"sk-canary-{kind}-9f8e7d6c"


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A home with a config in it, and the variables to run a program with."""

    home: Path
    config: Path
    state: Path
    environ: Mapping[str, str]

    def kept(self) -> Iterable[Path]:
        """Return every file that programs wrote here."""
        ours = {self.config, self.home / "key.txt", self.home / "borrowed.json"}
        return (path for path in self.home.rglob("*") if path.is_file() and path not in ours)


def plant(home: Path, upstream: str) -> Planted:
    """Write a config with every kind of secret for an upstream (``http://HOST:PORT``)."""
    place = upstream.removeprefix("http://")
    config, state = home / "config.toml", home / "state" / "gatewayctl"
    (home / "key.txt").write_text(secret("file") + "\n")
    later = 4_102_444_800
    lent = {"accessToken": secret("borrowed"), "refreshToken": "", "expiresAt": later * 1000}
    (home / "borrowed.json").write_text(json.dumps({"claudeAiOauth": lent}))
    state.mkdir(parents=True)
    tokens = Credential(
        access_token=secret("access"), refresh_token=secret("refresh"), expires_at=float(later)
    )
    Vault(state).put("oauth", tokens)
    config.write_text(_config(home, upstream, place))
    environ = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "CANARY_KEY": secret("env"),
    }
    return Planted(home=home, config=config, state=state, environ=environ)


def _config(home: Path, upstream: str, place: str) -> str:
    own = {
        "env": 'api_key = { env = "CANARY_KEY" }',
        "file": f'api_key = {{ file = "{home}/key.txt" }}',
        "command": f'api_key = {{ command = ["echo", "{secret("command")}"] }}',
        "plain": f'api_key = "{secret("plain")}"',
        "urlpass": 'auth = "none"',
        "header": f'auth = "none"\nheaders = {{ x-team-token = "{secret("header")}" }}',
        "several": f'api_key = ["{secret("first")}", "{secret("second")}"]',
        "oauth": f'auth = "oauth"\noauth = {{ token_url = "{upstream}/token", client_id = "c",'
        f' authorize_url = "{upstream}/authorize" }}',
        "borrow": f'auth = "oauth"\ncredential = {{ borrow = "{home}/borrowed.json" }}',
        "proxied": f'auth = "none"\nproxy = "http://user:{secret("proxypass")}@{place}"',
        "tunnelled": f'auth = "none"\nproxy = "http://user:{secret("tunnelpass")}@{place}"',
        "dead": 'auth = "none"',
        "forward": 'auth = "forward"',
    }
    urls = {
        "urlpass": f"http://user:{secret('urlpass')}@{place}",
        "proxied": "http://nowhere.test",
        "tunnelled": "https://nowhere.test",
        "dead": f"http://user:{secret('deadpass')}@127.0.0.1:9",
    }
    parts = [
        f"""
[routing]
deadline = "9s"
[registry]
refresh = "manual"
timeout = "5s"
[registry.sources]
models_dev = "http://user:{secret("sourcepass")}@{place}/{secret("sourcepath")}/table"
litellm = ""
"""
    ]
    parts += (
        f'[providers.{name}]\nkind = "openai-compatible"\n'
        f'base_url = "{urls.get(name, upstream)}/v1"\n'
        f'protocols = ["chat_completions", "responses", "messages", "gemini"]\n{own[name]}\n'
        for name in PROVIDERS
    )
    steps = ", ".join(f'{{ model = "{name}/echo-500" }}' for name in PROVIDERS)
    return "".join(parts) + f'[[cascades]]\nid = "all"\nsteps = [{steps}]\n'


def echo(request: RawRequest) -> Sequence[Step]:
    """Answer a request by giving away all that came with it, in the way that its model names."""
    told = (request.head + request.body).decode(errors="replace")
    way = next((each for each in WAYS if each in told), "echo-401")
    headers = [("content-type", "application/json"), *_leaking(request)]
    error = json.dumps({"error": {"message": told, "type": told, "code": told, "param": told}})
    stream = '"stream":true' in told.replace(" ", "") or "streamGenerate" in told
    kind, _, status = way.partition("-")
    if kind == "fine":
        return _fine(request, headers, stream=stream)
    if kind == "stream":
        return _streamed(way, error, told, stream=stream)
    if kind == "cut":
        reason = told.replace("\r", " ").replace("\n", " ")[:400]
        return [f"HTTP/1.1 200 {reason}\r\nx: y\r\n\r\n".encode(), Fin()]
    if kind == "page":
        page = f"<html><title>{told}</title>".encode()
        return sized(page, int(status), [("content-type", "text/html")])
    body = {"garbage": told, "headers": "{}"}.get(kind, error)
    return sized(body.encode(), int(status), headers)


def _streamed(way: str, error: str, told: str, *, stream: bool) -> Sequence[Step]:
    if not stream:
        return sized(error.encode(), 200)
    delta = {"choices": [{"index": 0, "delta": {"content": "Well"}}]}
    begun = f"data: {json.dumps(delta)}\n\n".encode()
    last = f"event: error\ndata: {error}\n\n" if way == "stream-error" else f"data: {told!r}\n\n"
    return chunked([begun, last.encode()], 200, SSE)


def _fine(
    request: RawRequest, headers: Sequence[tuple[str, str]], *, stream: bool
) -> Sequence[Step]:
    """Return a good answer; its headers give everything away."""
    path = request.target.partition("?")[0]
    protocols = {"completions": "chat_completions", "responses": "responses"}
    last = path.rpartition("/")[2]
    protocol = "gemini" if ":" in last else protocols.get(last, "messages")
    answer = Answer(protocol=protocol, tokens=Tokens(input=9), pieces=("Well.",), style="final")
    if not stream:
        return sized(answer.whole(), 200, headers)
    return chunked((frame.data for frame in answer.frames()), 200, (*SSE, *headers[1:]))


def _leaking(request: RawRequest) -> list[tuple[str, str]]:
    """Return headers of a reply that repeat what came in headers of the request."""
    names = ("authorization", "x-api-key", "x-goog-api-key", "x-team-token", "proxy-authorization")
    values = [(request.header(name) or b"").decode() for name in names]
    found = [value for value in values if value]
    return [
        ("x-echo", " ".join(found)),
        ("x-request-id", " ".join(found)),
        ("www-authenticate", " ".join(found)),
        ("retry-after", "0"),
    ]


def traces(text: bytes, *, but: Iterable[str] = ()) -> list[str]:
    """Return what is left of any planted secret in a text, plain, quoted or in base 64."""
    for allowed in but:
        text = text.replace(allowed.encode(), b"")
        text = text.replace(quote(allowed).encode(), b"")
    found = [
        text[max(0, at - 40) : at + 40].decode(errors="replace") for at in _all(text, b"canary")
    ]
    for kind in KINDS:
        for form in (secret(kind), f"user:{secret(kind)}"):
            coded = base64.b64encode(form.encode()).rstrip(b"=")[:-2]
            found += [f"{kind} in base 64"] if coded in text else []
    return found


def _all(text: bytes, part: bytes) -> list[int]:
    at, found = text.find(part), []
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found
