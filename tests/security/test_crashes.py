"""A fault of the gateway's own, in the middle of a request, at the most talkative log level."""

import io
import logging

import pytest
from support.dialects import DIALECTS, address, encoded
from support.gateway import demo
from support.planted import FORWARDED, PROMPT

from gatewayctl.core.errors import GatewayctlError
from gatewayctl.daemon.logs import JsonFormatter, TextFormatter
from gatewayctl.daemon.planning import Planner
from gatewayctl.daemon.trying import Tries


@pytest.mark.parametrize("place", [(Planner, "plan"), (Tries, "one")], ids=["planning", "trying"])
@pytest.mark.parametrize("style", [TextFormatter, JsonFormatter])
async def test_a_crash_quotes_neither_a_secret_nor_a_prompt(
    monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], style: type[logging.Formatter]
) -> None:
    """The log says where it crashed, the client under which id to look; nothing else is told.

    What crashes quotes what it was given, as the exceptions of Python's own do.
    """

    async def crash(*_: object, **__: object) -> None:
        try:
            int(f"{PROMPT} {FORWARDED}")
        except ValueError as error:
            raise KeyError(PROMPT) from error

    monkeypatch.setattr(*place, crash)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(style())
    # Only what the formatters make of it is looked at: the raw exception is what it is.
    logger = logging.getLogger("gatewayctl.requests")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [handler])
    async with demo() as (it, _):
        for protocol in DIALECTS:
            path = address(protocol, "demo/small")
            body = encoded(protocol, "demo/small", PROMPT)
            headers = {"authorization": f"Bearer {FORWARDED}"}
            async with it.client.post(it.url + path, data=body, headers=headers) as answer:
                assert answer.status == 500
                text = await answer.text()
                assert "its log says how" in text
                assert "canary" not in text
    logged = stream.getvalue()
    assert logged.count("KeyError: …") == logged.count("ValueError: …") == len(DIALECTS)
    assert "in crash" in logged
    assert "canary" not in logged


def test_what_quotes_nobody_is_told_in_full() -> None:
    """What the gateway itself or the system says of a fault helps whoever reads the log."""
    for error in (OSError(28, "No space left on device"), GatewayctlError("no such table")):
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, None)})
        assert str(error) in TextFormatter().format(record)
        assert str(error) in JsonFormatter().format(record)
