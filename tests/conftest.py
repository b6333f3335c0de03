"""How property tests draw: a few cases at random by hand, the same ones each time in CI.

Hypothesis sees by itself that it runs in CI; ``make fuzz`` asks for the long profile. No test fails
for being slow: a busy machine is no defect of what is tested.
"""

import os

from hypothesis import HealthCheck, settings

_PATIENT = settings(
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    max_examples=35,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("usual", _PATIENT)
settings.register_profile("fuzz", _PATIENT, max_examples=1000)
settings.load_profile("usual")
if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)
