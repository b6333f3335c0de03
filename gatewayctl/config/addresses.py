"""Where a provider is asked in each protocol: its base URL, and what stands behind it.

Google's native API and its OpenAI-compatible one share a host and a version, so one provider has
both. What follows the base, a path and a query, is each protocol's own business.
"""

import re
from typing import Final

from gatewayctl.config.kinds import Kind, kinds
from gatewayctl.config.settings import ProviderSettings
from gatewayctl.core.model import WireProtocol

_VERSION: Final = "/v1beta"
_VERSIONED: Final = re.compile(r"/v1(?:alpha|beta)?\d*$")


def base(settings: ProviderSettings, protocol: WireProtocol) -> str:
    """Return what stands before a protocol's paths, without a trailing slash."""
    kind = kinds().get(settings.provider.kind)
    prefix = "" if kind is None else kind.prefixes.get(protocol, "")
    if prefix or protocol is WireProtocol.GEMINI:
        return versioned(settings.base_url) + prefix
    return settings.base_url


def versioned(url: str) -> str:
    """Return a base URL of Google's API with its version, the usual one where it names none."""
    return url if not url or _VERSIONED.search(url) else url + _VERSION


def without_prefix(url: str, kind: Kind) -> str:
    """Return a base URL without a prefix of its kind's, which ``base`` puts there again."""
    for prefix in kind.prefixes.values():
        url = url.removesuffix(prefix)
    return url
