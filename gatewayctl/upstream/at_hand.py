"""Whether a provider's credential is likely to be had, without reading files or running programs.

Light: the command line asks this of every provider. Reading one is ``credentials``' business.
"""

import os
from collections.abc import Mapping
from typing import assert_never

from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
)
from gatewayctl.core.model import Auth


def available(settings: ProviderSettings, environ: Mapping[str, str]) -> bool:
    """Tell whether a provider can be called as far as credentials go.

    True where it takes no key of the gateway's; else whether one is likely to be had.
    """
    if settings.provider.auth is not Auth.KEY:
        return True
    return any(_is_there(secret, environ) for secret in settings.secrets)


def labels(settings: ProviderSettings) -> tuple[str, ...]:
    """Return what a provider's credentials are called in logs, in order; the name if it has one."""
    name, several = settings.provider.name, len(settings.secrets)
    if several < 2:  # noqa: PLR2004 - one, or none at all
        return (name,)
    return tuple(f"{name}#{number}" for number in range(1, several + 1))


def usable(settings: ProviderSettings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the labels of those that are likely to be had."""
    named = zip(labels(settings), settings.secrets, strict=False)
    return tuple(label for label, secret in named if _is_there(secret, environ))


def askable(settings: ProviderSettings, environ: Mapping[str, str]) -> bool:
    """Tell whether a provider's listing can be asked for with what the gateway itself has.

    A client's credential (``auth = "forward"``) serves that client's requests alone.
    """
    match settings.provider.auth:
        case Auth.NONE:
            return True
        case Auth.KEY:
            return available(settings, environ)
        case _:
            return False


def _is_there(secret: Secret, environ: Mapping[str, str]) -> bool:
    match secret:
        case FromEnv():
            return bool(environ.get(secret.name, "").strip())
        case FromFile():
            # Path's own are at a loss where a folder may not be looked into, or a user is unknown.
            return os.path.isfile(os.path.expanduser(secret.path))  # noqa: PTH111, PTH113
        case FromCommand():
            return True
        case Plain():
            return bool(secret.value.strip())
        case _:
            assert_never(secret)
