"""``gatewayctl auth``: log in to providers, take over or hand in credentials, list and end them.

What is done with a credential is ``cli.tokens``' business, how the list looks ``cli.accounts``',
and the login page ``cli.login``'s. No command prints a token.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from gatewayctl.cli.login import Exchange

app = typer.Typer(
    name="auth",
    help='Log in to providers with auth = "oauth", and see what became of it.',
    no_args_is_help=True,
)

REFUSED = 1
TIMED_OUT = 3
INTERRUPTED = 130

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A provider of the config: [providers.NAME].")
]
NoBrowserOption = Annotated[
    bool, typer.Option("--no-browser", help="Only print the address of the login page.")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port of this machine that the browser comes back to; 0 picks a free one, which is "
        "also the default unless redirect_uri in the config names one.",
    ),
]
TimeoutOption = Annotated[
    str, typer.Option(metavar="DURATION", help="How long the login may take: 90s, 5m.")
]
TokenOption = Annotated[
    bool,
    typer.Option("--token", help="Take a token, from standard input or asked for without echo."),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Take over another program's credentials file."),
]
ExpiresOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="When the token ends: 90d, or as 2027-01-31 begins (UTC); else unknown.",
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Ask for new tokens although the present one is good.")
]


@app.command()
def login(
    name: NameArgument,
    no_browser: NoBrowserOption = False,
    port: PortOption = None,
    timeout: TimeoutOption = "5m",
    config: ConfigOption = None,
) -> None:
    """Log in to a provider in the browser; its tokens are kept here, and renewed by the daemon.

    Calls the provider's login and token servers over the network, as the config names them. The
    browser comes back to a port of this machine; where it cannot, the address that it ends at is
    pasted: all of it, or its part from the path or the question mark on.

    Exit status: 0 logged in, 1 not logged in, 2 the config cannot be opened, 3 nobody logged in
    in time, 130 interrupted.
    """
    import asyncio

    from gatewayctl.cli import moments, render, tokens
    from gatewayctl.cli.login import LoginInterrupted, LoginTimedOut, Ways, log_in

    settings = tokens.own(name, config)
    oauth = tokens.endpoints(settings)

    async def finish(exchange: "Exchange") -> str:
        return tokens.told(name, await tokens.exchanged(settings, exchange))

    ways = Ways(
        finish=finish,
        say=typer.echo,
        port=port,
        browser=not no_browser,
        seconds=moments.duration(timeout, "--timeout"),
    )
    try:
        typer.echo(f"logged in to {asyncio.run(log_in(name, oauth, ways))}")
    except LoginTimedOut as error:
        render.tell(f"{error}; nothing was stored")
        raise typer.Exit(TIMED_OUT) from error
    except (KeyboardInterrupt, LoginInterrupted):
        render.tell("the login was interrupted; nothing was stored")
        raise typer.Exit(INTERRUPTED) from None


@app.command("import", context_settings={"allow_extra_args": True})
def import_(
    context: typer.Context,
    name: NameArgument,
    token: TokenOption = False,
    file: FromOption = None,
    expires: ExpiresOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep a token that a provider gave out, or take over what another program is logged in with.

    A token has no refresh token: once it has expired, another one is imported. It is never given
    on the command line, where others could see it.

    A credentials file is taken over: the next refresh, by the daemon, ends what is in the file,
    and with it the other program's login. To leave that program its login, write
    credential = { borrow = "FILE" } in the config instead. Nothing is called.

    Exit status: 0 imported, 1 not imported, 2 the config cannot be opened.
    """
    import time

    from gatewayctl.cli import moments, tokens

    if context.args:
        raise typer.BadParameter(
            "a token is not taken from the command line, where others can see it: pipe it in, or "
            "type it when it is asked for"
        )
    if token is (file is not None):
        raise typer.BadParameter("choose one of --token and --from FILE")
    if expires is not None and not token:
        raise typer.BadParameter("--expires belongs to --token: a file has its own")
    settings = tokens.own(name, config)
    if file is not None:
        for line in tokens.taken_over(settings, file):
            typer.echo(line)
        return
    until = None if expires is None else moments.ahead(expires, time.time(), "--expires")
    stored = tokens.handed_in(settings, tokens.asked_for(name), until)
    typer.echo(f"imported a token of {tokens.told(name, stored)}")


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the providers with auth = "oauth": whose credential, until when, and what is wrong.

    Reads files; nothing is called, and no token is shown.

    Exit status: 0 listed, 1 the config or the stored credentials cannot be read, 2 the config
    cannot be opened.
    """
    from gatewayctl.cli import accounts, render

    found = accounts.accounts(config)
    if as_json:
        render.print_json({"credentials": found})
    else:
        accounts.print_accounts(found)


@app.command()
def refresh(name: NameArgument, force: ForceOption = False, config: ConfigOption = None) -> None:
    """Ask a provider's token server for new tokens, if the present one is about to expire.

    Calls the token server over the network. A running daemon refreshes by itself, and notices what
    is refreshed here.

    Exit status: 0 refreshed, or still good, 1 not refreshed, 2 the config cannot be opened.
    """
    import asyncio

    from gatewayctl.cli import tokens

    settings = tokens.own(name, config)
    if not force and (good := tokens.still_good(settings)):
        typer.echo(good)
        return
    typer.echo(f"refreshed {tokens.told(name, asyncio.run(tokens.refreshed(settings)))}")
    typer.echo("a running daemon notices it within a second or two")


@app.command()
def logout(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove what is stored of a provider's credential.

    Nothing is called: what the provider granted ends when it expires, or on the provider's own
    pages. A running daemon notices within a second or two.

    Exit status: 0 removed, 1 there was nothing to remove, 2 the config cannot be opened.
    """
    from gatewayctl.cli import tokens

    typer.echo(tokens.removed(name, config))
