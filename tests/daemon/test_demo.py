"""What a newcomer is told of the demo is so."""

import json
import shlex

import pytest

from gatewayctl.config.settings import ServerSettings
from gatewayctl.daemon.demo import demo_settings, guide

URL = "http://127.0.0.1:8790"


@pytest.mark.parametrize("keyed", [False, True])
def test_the_command_line_asks_the_demo_for_a_model_of_its_own(*, keyed: bool) -> None:
    """With a client key where the gateway asks for one, which is said; else none is spoken of."""
    told = guide(URL, keyed=keyed)
    line = next(line for line in told.splitlines() if line.startswith("curl "))
    _, url, *headers, flag, body = shlex.split(line)
    assert (url, flag) == (f"{URL}/v1/chat/completions", "-d")
    assert json.loads(body)["model"] in demo_settings(URL, ServerSettings()).graph.routes
    assert headers == (["-H", "x-gatewayctl-key: $KEY"] if keyed else [])
    assert ("no key needed" in told) is not keyed
    assert ("KEY=$(gatewayctl keys create " in told) is keyed
