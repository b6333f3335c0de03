"""How property tests draw: a few cases at random by hand, the same ones each time in CI.

Hypothesis sees by itself that it runs in CI; ``make fuzz`` asks for the long profile.
"""

import os

from hypothesis import settings

settings.register_profile("fuzz", max_examples=1000, deadline=None)
if profile := os.environ.get("HYPOTHESIS_PROFILE"):
    settings.load_profile(profile)
