"""How property tests draw, that Ctrl-C counts, and what no test may do: bring a secret to light.

A few cases are drawn at random by hand, the same ones each time in CI. Hypothesis sees by itself
that it runs in CI; ``make fuzz`` asks for the long profile. No test fails for being slow: a busy
machine is no defect of what is tested.
"""

import gc
import logging
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from support.watch import Watch, in_text

_WATCH = Watch()
for _name in ("", "gatewayctl"):  # some tests replace the handlers of the first
    logging.getLogger(_name).addHandler(_WATCH)
logging.getLogger("gatewayctl").setLevel(logging.DEBUG)

# A shell has its background jobs ignore Ctrl-C, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PATIENT = settings(
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    max_examples=24,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("usual", _PATIENT)
settings.register_profile("fuzz", _PATIENT, max_examples=1000)
settings.load_profile("usual")
if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the collector of garbage pass over what stays to the end: eleven thousand tests.

    It would look through them again and again while they come. Afterwards it looks seldom: what
    must be gone by some moment is a test's own business.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that let a secret into a log line or into what it printed."""
    report = yield
    leaks = _WATCH.taken()
    for title, text in report.sections:
        if (found := in_text(text)) is not None:
            leaks.append(f"{title}: {found}")
    if leaks and report.passed:
        report.outcome = "failed"
        report.longrepr = "a secret came to light:\n" + "\n".join(leaks)
    return report
