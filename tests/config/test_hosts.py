"""Hosts of this machine and near it are told by name or address, without a look-up."""

import pytest

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.hosts import is_loopback, is_near
from gatewayctl.config.lint import Surroundings
from gatewayctl.config.load import load_bytes


@pytest.mark.parametrize(
    ("host", "loopback", "near"),
    [
        ("localhost", True, True),
        ("a.localhost.", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("[::1]", True, True),
        ("192.168.1.7", False, True),
        ("10.0.0.1", False, True),
        ("fd00::1", False, True),
        ("nas", False, True),
        ("gpu.lan", False, True),
        ("box.local", False, True),
        ("host.docker.internal", False, True),
        ("api.openai.com", False, False),
        ("8.8.8.8", False, False),
        ("localhost.example.com", False, False),
    ],
)
def test_what_is_here_and_what_is_near(host: str, *, loopback: bool, near: bool) -> None:
    """Everything of this machine is near, and so is the private network around it."""
    assert is_loopback(host) is loopback
    assert is_near(host) is near


@pytest.mark.parametrize(
    ("server", "keyed", "valid"),
    [
        ('host = "0.0.0.0"', False, False),
        ('host = "0.0.0.0"', True, True),
        (f'host = "::"\nkeys = ["sha256:{"0" * 64}"]', False, True),
        ('host = "localhost"', False, True),
    ],
)
def test_a_host_beyond_loopback_needs_a_client_key(
    server: str, *, keyed: bool, valid: bool
) -> None:
    """One of the file's own, or one that there is besides: the state folder's are handed in."""
    around = Surroundings(keyed=keyed)
    data = f"[server]\n{server}\n".encode()
    loaded = load_bytes(data, name="x", environ={}, catalog=EmptyCatalog(), around=around)
    codes = [problem.code for problem in loaded.problems]
    assert codes == ([] if valid else ["public-host-without-keys"])
