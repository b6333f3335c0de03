"""Tells a credential from the one that followed it, without keeping either: by a keyed hash.

What was learned of a credential must not be believed of another that stands in its place after a
change of a variable, a file or the config. Blocks on files; programs are not run.
"""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final, assert_never

from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
)
from gatewayctl.upstream.at_hand import labels

_LONGEST: Final = 16 * 1024  # bytes of a credential


def marks(
    providers: Mapping[str, ProviderSettings], environ: Mapping[str, str], key: bytes
) -> dict[str, str]:
    """Return by label the mark of every credential that is configured; ``key`` is up to 64 bytes.

    What a program prints is marked by the program's command.
    """
    found = {}
    for settings in providers.values():
        origin = f"{settings.base_url}\0".encode()
        named = zip(labels(settings), settings.secrets or (None,), strict=True)
        for label, secret in named:
            told = b"" if secret is None else _told(secret, environ)
            found[label] = blake2b(origin + told, key=key, digest_size=8).hexdigest()
    return found


def _told(secret: Secret, environ: Mapping[str, str]) -> bytes:
    match secret:
        case FromEnv():
            return environ.get(secret.name, "").strip().encode(errors="surrogateescape")
        case FromFile():
            path = Path(secret.path).expanduser()
            try:
                # what is no file, a pipe for instance, may be opened for ever
                if not path.is_file():
                    return b""
                with path.open("rb") as file:
                    return file.read(_LONGEST).strip()
            except OSError:
                return b""
        case FromCommand():
            return "\0".join(secret.argv).encode(errors="surrogateescape")
        case Plain():
            return secret.value.strip().encode(errors="surrogateescape")
        case _:
            assert_never(secret)
