"""A request for a listing carries the provider's credential in its header, and nobody else's."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from gatewayctl.config.settings import (
    FromCommand,
    FromEnv,
    FromFile,
    Plain,
    ProviderSettings,
    Secret,
)
from gatewayctl.core.errors import SourceFailed
from gatewayctl.core.model import Auth, Provider
from gatewayctl.upstream.at_hand import askable
from gatewayctl.upstream.headers import USER_AGENT
from gatewayctl.upstream.listing import credential_now, headers_for

from .conftest import MakeProvider

US = {"accept": "application/json", "user-agent": USER_AGENT}


def _of(kind: str, settings: ProviderSettings) -> ProviderSettings:
    provider = Provider(
        name="p", kind=kind, protocols=settings.provider.protocols, auth=settings.provider.auth
    )
    return msgspec.structs.replace(settings, provider=provider)


@pytest.mark.parametrize(
    ("kind", "carried"),
    [
        ("openai", {"authorization": "Bearer sk-1"}),
        ("openai-compatible", {"authorization": "Bearer sk-1"}),
        ("ollama", {"authorization": "Bearer sk-1"}),
        ("gemini", {"x-goog-api-key": "sk-1"}),
        ("anthropic", {"x-api-key": "sk-1", "anthropic-version": "2023-06-01"}),
        ("anthropic-compatible", {"x-api-key": "sk-1", "anthropic-version": "2023-06-01"}),
    ],
)
def test_each_kind_gets_its_key_where_it_looks_for_it(
    provider: MakeProvider, kind: str, carried: dict[str, str]
) -> None:
    """The rest says that it is gatewayctl who asks, and for JSON."""
    found = headers_for(_of(kind, provider()), "sk-1")
    assert {name.lower(): value for name, value in found.items()} == US | carried


def test_the_providers_own_headers_win_over_all(provider: MakeProvider) -> None:
    """They are added, replaced whatever their case, and removed by an empty value."""
    own = {"X-Team": "a", "authorization": "Basic 1", "ACCEPT": ""}
    found = headers_for(provider(headers=own), "sk-1")
    assert {name.lower(): value for name, value in found.items()} == {
        "user-agent": USER_AGENT,
        "x-team": "a",
        "authorization": "Basic 1",
    }


@pytest.mark.parametrize("auth", [Auth.NONE, Auth.FORWARD])
def test_only_a_key_of_the_gateways_travels(provider: MakeProvider, auth: Auth) -> None:
    """Without one, or where clients bring theirs, a request has no credential at all."""
    found = headers_for(provider(auth=auth), "sk-1")
    assert {name.lower(): value for name, value in found.items()} == US
    assert {name.lower(): value for name, value in headers_for(provider(), None).items()} == US


@pytest.mark.parametrize(
    ("auth", "secrets", "expected"),
    [
        (Auth.NONE, (), True),
        (Auth.FORWARD, (), False),
        (Auth.KEY, (FromEnv(name="SET"),), True),
        (Auth.KEY, (FromEnv(name="UNSET"),), False),
        (Auth.KEY, (FromEnv(name="UNSET"), Plain(value="sk")), True),
    ],
)
def test_who_has_no_key_of_the_gateways_is_not_asked(
    provider: MakeProvider, auth: Auth, secrets: tuple[Secret, ...], *, expected: bool
) -> None:
    """Neither is a provider for which clients bring their own: it is theirs to use."""
    assert askable(provider(auth=auth, secrets=secrets), {"SET": "sk"}) is expected


def test_a_credential_is_found_wherever_the_config_says_it_is(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """Variable, file, program or plain text, from any thread."""
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    secrets: dict[str, Secret] = {
        "sk-env": FromEnv(name="SET"),
        "sk-file": FromFile(path=str(file)),
        "sk-command": FromCommand(argv=(sys.executable, "-c", "print('sk-command')")),
        "sk-plain": Plain(value="sk-plain"),
    }
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(
            lambda secret: credential_now(provider(secrets=(secret,)), {"SET": "sk-env"}),
            secrets.values(),
        )
        assert list(found) == list(secrets)
    assert credential_now(provider(), {}) is None


def test_a_credential_that_cannot_be_had_is_a_failed_source(provider: MakeProvider) -> None:
    """A program that hangs is stopped, and no message shows what was found."""
    hangs = FromCommand(argv=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(SourceFailed, match="took longer"):
        credential_now(provider(secrets=(hangs,)), {}, command_timeout=0.2)
    broken = Plain(value="sk-secret\nline")
    with pytest.raises(SourceFailed) as raised:
        credential_now(provider(secrets=(broken,)), {})
    assert "sk-secret" not in str(raised.value)


def test_no_http_client_is_loaded_for_it() -> None:
    """The command line looks credentials up before it knows whether it will ask anybody."""
    code = "import sys, gatewayctl.upstream.listing; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
