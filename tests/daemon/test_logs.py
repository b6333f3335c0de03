import json
import logging

from gatewayctl.core.happened import Happened
from gatewayctl.daemon.logs import JsonFormatter, TextFormatter

CHANGED = Happened("quota_changed", {"credential": "up#1", "from": None, "to": "rejected", "n": 2})


def record(message: object, *args: object) -> logging.LogRecord:
    """Return what a logger would hand to its handlers."""
    return logging.LogRecord("gatewayctl.quotas", logging.INFO, __file__, 1, message, args, None)


def test_a_change_is_one_line_of_text() -> None:
    """Its name, then its fields."""
    line = TextFormatter("%(levelname)s %(message)s").format(record(CHANGED))
    assert line == "INFO quota_changed credential=up#1 from=none to=rejected n=2"


def test_a_change_has_its_fields_apart_in_json() -> None:
    """With their types, beside what every line has."""
    line = json.loads(JsonFormatter().format(record(CHANGED)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "gatewayctl.quotas",
        "message": "quota_changed credential=up#1 from=none to=rejected n=2",
        "event": "quota_changed",
        "credential": "up#1",
        "from": None,
        "to": "rejected",
        "n": 2,
    }


def test_any_other_line_has_no_event() -> None:
    """It is a sentence, and its parts are no fields."""
    line = json.loads(JsonFormatter().format(record("%s answered by %s", "req_1", "up/m")))
    assert line["message"] == "req_1 answered by up/m"
    assert set(line) == {"time", "level", "logger", "message"}
