"""``gatewayctl serve``: from options to a running daemon."""

from typing import TYPE_CHECKING, Annotated

import typer

from gatewayctl.cli.options import ConfigOption
from gatewayctl.config.levels import LogFormat, LogLevel

if TYPE_CHECKING:
    from gatewayctl.config.settings import ServerSettings


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve simulated models; needs no config and no key.")
    ] = False,
    log_level: Annotated[LogLevel | None, typer.Option(help="Least level that is logged.")] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="How log lines look.")] = None,
) -> None:
    """Run the gateway until it is stopped.

    Without a config file and without a provider's key in the environment, the demo is served.

    Exit status: 0 stopped by a signal, 1 the config is wrong or the address is taken, 2 the
    config cannot be opened.
    """
    import os

    import msgspec

    from gatewayctl.cli import offline
    from gatewayctl.config.settings import ServerSettings
    from gatewayctl.daemon import composition, logs

    if demo and config is not None:
        raise typer.BadParameter("--demo brings its own config; leave out --config")
    settings = None if demo else offline.load_settings(config, os.environ)
    if settings is not None and not settings.providers and settings.path is None:
        settings = None
    given = {"host": host, "port": port, "log_level": log_level, "log_format": log_format}
    server = msgspec.structs.replace(
        ServerSettings() if settings is None else settings.server,
        **{name: value for name, value in given.items() if value is not None},
    )
    _check_host(server)
    logs.configure(server.log_level, server.log_format)

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if settings is None:
        keyed = bool(server.keys) or offline.keyed()
        composition.run_demo(server, offline.live, say, keyed=keyed)
    else:
        settings = msgspec.structs.replace(settings, server=server)
        composition.run(settings, offline.live, say)


def _check_host(server: "ServerSettings") -> None:
    """Refuse to listen beyond loopback without any client key."""
    from gatewayctl.cli import offline
    from gatewayctl.config.hosts import is_loopback

    if not is_loopback(server.host) and not server.keys and not offline.keyed():
        raise typer.BadParameter(
            f"{server.host} is beyond loopback, which needs client keys: "
            "gatewayctl keys create NAME makes one"
        )
