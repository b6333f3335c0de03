"""Hosts of this machine and near it are told by name or address, without a look-up."""

import pytest

from gatewayctl.config.hosts import is_loopback, is_near


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
