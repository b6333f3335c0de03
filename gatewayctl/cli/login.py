"""One login: a page in the browser, whose answer is caught on loopback or pasted.

What becomes of the code is the caller's business, which the browser's page waits for. Nothing here
stores or prints a secret: the verifier stays in memory, the state is good once.
"""

import asyncio
import base64
import contextlib
import hashlib
import html
import os
import secrets
import signal
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from aiohttp import web

from gatewayctl.cli import answer
from gatewayctl.cli.answer import Answered, Expected, LoginFailed, NoAnswer
from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.oauth import REDIRECT
from gatewayctl.config.settings import OAuthSettings
from gatewayctl.daemon import listening

_PATH = "/callback"
_RANDOM = 32  # bytes of a verifier and of a state
_PATIENCE = 60.0
"""Seconds that a page waits for what becomes of the code."""
_SHUTDOWN = 5.0
"""Seconds that the page has to reach the browser."""
_PIECE = 4096
_LONGEST_LINE = 64 * 1024
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class LoginTimedOut(LoginFailed):
    """Nobody answered in time."""


class LoginInterrupted(LoginFailed):
    """The person pressed Ctrl-C."""


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the login page sends the browser: ``uri`` as the page is told.

    ``host`` None is a page of somebody else's, which shows the code; its answer is pasted.
    """

    uri: str
    host: str | None = None
    port: int = 0
    path: str = _PATH


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What a code is exchanged with."""

    code: str
    verifier: str
    redirect_uri: str

    def __repr__(self) -> str:
        return "Exchange(…)"


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How a person logs in: ``port`` over the config's, a browser or not, and in how many seconds.

    ``finish`` is given the code and returns what the person is told; it raises ``GatewayctlError``.
    """

    finish: Callable[[Exchange], Awaitable[str]]
    say: Callable[[str], None]
    port: int | None = None
    browser: bool = True
    seconds: float = 300.0


def landing(oauth: OAuthSettings, port: int | None) -> Landing:
    """Return where a login ends: where ``extra`` says, else on a free port of this machine.

    Port 0 is one that is still to be found.
    """
    said = oauth.extra.get(REDIRECT)
    if said is None:
        return Landing(uri="", host="127.0.0.1", port=port or 0)
    parts = urlsplit(said)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        return Landing(uri=said)
    chosen = parts.port or 0 if port is None else port
    return Landing(uri=said, host=parts.hostname, port=chosen, path=parts.path or "/")


def located(landing: Landing, port: int) -> Landing:
    """Return a landing on this machine with the port that is listened on."""
    host = f"[{landing.host}]" if ":" in (landing.host or "") else landing.host
    path, query = landing.path, ""
    if landing.uri:
        parts = urlsplit(landing.uri)
        path, query = parts.path, parts.query
    uri = urlunsplit(("http", f"{host}:{port}", path, query, ""))
    return msgspec.structs.replace(landing, uri=uri, port=port)


def page_url(oauth: OAuthSettings, redirect_uri: str, state: str, verifier: str) -> str:
    """Return the address of the login page for one login."""
    digest = hashlib.sha256(verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": oauth.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(oauth.scopes),
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **{name: value for name, value in oauth.extra.items() if name != REDIRECT},
    }
    parts = urlsplit(oauth.authorize_url or "")
    own = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([*own, *((name, it) for name, it in parameters.items() if it)])
    return urlunsplit(parts._replace(query=query))


async def log_in(name: str, oauth: OAuthSettings, ways: Ways) -> str:
    """Show the login page of a provider, wait for its answer, and hand the code on.

    Returns what ``ways.finish`` does. Raises ``LoginFailed``, ``listening.CannotListen`` and what
    ``finish`` raises.
    """
    state, verifier = (secrets.token_urlsafe(_RANDOM) for _ in range(2))
    loop = asyncio.get_running_loop()
    expected = Expected(state, loop.time() + ways.seconds, loop.time)
    wait = _Wait(name, expected, ways.say)
    async with _listening(wait, landing(oauth, ways.port)) as end:
        url = page_url(oauth, end.uri, state, verifier)
        _invite(name, url, end, ways)
        if ways.browser and _has_browser():
            threading.Thread(target=_open, args=(url,), daemon=True).start()
        _read_pasted(wait, end, ways)
        with _interruptible():
            try:
                async with asyncio.timeout(ways.seconds):
                    code = await wait.code
            except TimeoutError as error:
                raise LoginTimedOut(f"nobody logged in within {ways.seconds:g} s") from error
            exchange = Exchange(code=code, verifier=verifier, redirect_uri=end.uri)
            return await wait.told(ways.finish(exchange))


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end what is awaited inside, as ``LoginInterrupted``.

    asyncio's own way leaves the loop asleep where the system hands the signal to another thread,
    and the one that reads standard input is always there.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or sys.platform == "win32":
        yield
        return
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        yield
    except asyncio.CancelledError as error:
        raise LoginInterrupted("the login was interrupted") from error
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _invite(name: str, url: str, end: Landing, ways: Ways) -> None:
    ways.say(f"Log in to {name} here:\n\n  {url}\n")
    if end.host is None:
        ways.say("Then paste the address that it ends at, or the CODE#STATE it shows; press Enter.")
        return
    ways.say(f"Waiting for the browser to come back to {end.uri}; Ctrl-C ends it.")
    ways.say("If it cannot get there, paste the address that it ends at, and press Enter.")


class _Wait:
    """One login that waits: for its code, then for what becomes of it."""

    def __init__(self, name: str, expected: Expected, say: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.code: asyncio.Future[str] = loop.create_future()
        self._name = name
        self._expected = expected
        self._say = say
        self._was_missed = False
        self._end: asyncio.Future[tuple[bool, str]] = loop.create_future()

    def take(self, found: answer.Answer) -> None:
        """Let an answer end the wait; raises as ``Expected.take`` does."""
        try:
            code = self._expected.take(found)
        except LoginFailed as error:
            self.fail(error)
            raise
        if not self.code.done():
            self.code.set_result(code)

    def fail(self, error: LoginFailed) -> None:
        """End the wait without a code."""
        if not self.code.done():
            self.code.set_exception(error)

    async def told(self, finishing: Awaitable[str]) -> str:
        """Return what becomes of the code, and let the browser's page say so too."""
        try:
            said = await finishing
        except BaseException as error:
            self._end.set_result((False, str(error) or "it was interrupted"))
            raise
        self._end.set_result((True, f"You are logged in to {self._name}."))
        return said

    async def answer(self, request: web.Request) -> web.Response:
        """Answer the browser that comes back."""
        try:
            self.take(answer.read(request.query_string))
            async with asyncio.timeout(_PATIENCE):
                well, said = await asyncio.shield(self._end)
        except Answered as error:
            return _page(409, f"{_sentence(str(error))} Nothing more is needed here.")
        except NoAnswer as error:
            self._missed(error)
            return _page(400, f"This is no answer to the login to {self._name}: {error}.")
        except LoginFailed as error:
            return _page(400, f"The login to {self._name} failed: {error}.")
        except TimeoutError:
            return _page(504, f"The login to {self._name} did not end in time.")
        return _page(200, said) if well else _page(502, f"The login failed: {said}.")

    def _missed(self, why: NoAnswer) -> None:
        """Say once that a browser came with something else; any page in it can do that often."""
        if not (self._was_missed or self.code.done()):
            self._was_missed = True
            self._say(f"A browser came back without the answer: {why}. Still waiting.")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _page(status: int, said: str) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>gatewayctl</title>'
        '<body style="font:1.1em sans-serif;margin:4em auto;max-width:40em">'
        f"<p>{html.escape(said)}</p><p>This page may be closed.</p>"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)


@contextlib.asynccontextmanager
async def _listening(wait: _Wait, end: Landing) -> AsyncIterator[Landing]:
    """Listen where the browser comes back to, and give that place as it is told the login page."""
    if end.host is None:
        yield end
        return
    sockets = listening.bind("localhost" if "localhost" in end.host else end.host, end.port)
    app = web.Application()
    app.router.add_get(end.path, wait.answer, allow_head=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    try:
        for sock in sockets:
            await web.SockSite(runner, sock).start()
        yield located(end, sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()
        for sock in sockets:
            sock.close()


# --- browser and terminal -----------------------------------------------------------------------


def _has_browser() -> bool:
    """Tell whether a browser would open in a window: one in this terminal would be in the way."""
    named = any(os.environ.get(each) for each in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    return named or sys.platform in {"darwin", "win32"}


def _open(url: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):  # the address is told as well
        webbrowser.open(url)


def _read_pasted(wait: _Wait, end: Landing, ways: Ways) -> None:
    """Take the answer from standard input too, for as long as the login waits.

    A thread that reads cannot be ended, so it is one that ends with the process.
    """
    loop = asyncio.get_running_loop()

    def take(line: str) -> None:
        if line.strip() and not wait.code.done():
            try:
                wait.take(answer.pasted(line))
            except NoAnswer as error:
                ways.say(f"That is no answer: {error}. Copy the whole address.")
            except (Answered, LoginFailed):
                return  # the wait has ended, and says why

    def over() -> None:
        if end.host is None:
            wait.fail(LoginFailed("no answer was pasted, and none comes by itself"))

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the login has ended meanwhile
            for line in _lines():
                loop.call_soon_threadsafe(take, line)
            loop.call_soon_threadsafe(over)

    threading.Thread(target=read, daemon=True).start()


def _lines() -> Iterator[str]:
    """Yield the lines of standard input, the last one also without its end; none where it is none.

    Not through ``sys.stdin``, whose lock would keep the interpreter from ending.
    """
    try:
        handle = sys.stdin.fileno()
        rest = b""
        while len(rest) < _LONGEST_LINE and (piece := os.read(handle, _PIECE)):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    except (AttributeError, OSError, ValueError):
        return
    yield rest.decode(errors="replace")
