"""Settings for questions about models that nobody is about to call: every provider there is."""

from collections.abc import Mapping

import msgspec

from gatewayctl.config.kinds import is_provider, kinds
from gatewayctl.config.providers import builtin
from gatewayctl.config.settings import Settings


def with_every_provider(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return the settings with the built-in providers that are not configured after the others."""
    others = {
        name: builtin(name, environ)
        for name, kind in kinds().items()
        if is_provider(kind) and name not in settings.providers
    }
    return msgspec.structs.replace(settings, providers={**settings.providers, **others})
