"""``gatewayctl route-explain --client``: what a request with a client key would be sent to."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from support.gateway import gateway
from support.terminal import gatewayctl

from gatewayctl.storage.client_keys import Terms, create, revoke
from gatewayctl.storage.files import usual_state_folder
from gatewayctl.storage.operator import operator_key

CONFIG = """
[providers.demo]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
auth = "none"
[[models]]
id = "demo/small"
context_window = 32768
[[models]]
id = "demo/large"
context_window = 262144
[[dispatchers]]
id = "route"
targets = ["demo/small", "demo/large"]
[[dispatchers.rules]]
when = { client = "ci" }
target = "demo/large"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a config, and keys into a state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state = usual_state_folder()
    create(state, "ci", Terms(), time.time())
    create(state, "narrow", Terms(models=("demo/large",)), time.time())
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_rules_and_permits_of_a_key_hold_offline(config: Path) -> None:
    """Whoever runs the gateway sees what is skipped for it and why."""
    for name, chosen in (("ci", "demo/large"), ("narrow", "demo/large"), (None, "demo/small")):
        options = () if name is None else ("--client", name)
        argv = ("route-explain", "route", *options, "--config", str(config), "--json")
        told = json.loads(gatewayctl(*argv, stdin=b"Hi").out)
        assert told["chosen"] == chosen
        reasons = {each["model"]: each["reason"] for each in told["skipped"]}
        assert reasons == ({"demo/small": "not_allowed"} if name == "narrow" else {})


def test_a_key_that_nobody_has_is_refused_with_the_nearest(config: Path) -> None:
    """A misspelt name must not pass for a key without bounds."""
    argv = ("route-explain", "route", "--client", "narow", "--config", str(config))
    ran = gatewayctl(*argv, stdin=b"Hi")
    assert ran.status == 2
    assert '"narow"; did you mean "narrow"?' in ran.err


def test_a_key_that_is_over_is_not_routable(config: Path) -> None:
    """What it would be sent to is shown, and that nobody is let in with it any more."""
    revoke(usual_state_folder(), "ci", time.time())
    argv = ("route-explain", "route", "--client", "ci", "--config", str(config), "--json")
    ran = gatewayctl(*argv, stdin=b"Hi")
    assert (ran.status, json.loads(ran.out)["chosen"]) == (3, "demo/large")
    assert '"ci" is revoked: requests with it are refused (401)' in ran.err


@pytest.mark.usefixtures("config")
async def test_the_daemon_says_the_same() -> None:
    """It is asked with the operator's key, which the command line has."""
    state = usual_state_folder()
    operator_key(state)
    async with gateway(CONFIG, state=state) as it:
        for name, status in (("narrow", 0), ("nobody", 2)):
            ran = await asyncio.to_thread(
                gatewayctl,
                *("route-explain", "route", "--client", name, "--url", it.url, "--json"),
                stdin=b"Hi",
            )
            assert ran.status == status, ran.err
            if status == 0:
                assert json.loads(ran.out)["chosen"] == "demo/large"
            else:
                assert '"nobody"' in ran.err
