"""One small file per source: how its listing is read. Pure: bytes in, claims out.

Fetching is ``registry.refresh``'s business, believing is ``registry.merge``'s.
"""

from collections.abc import Mapping

from gatewayctl.config.kinds import Kind
from gatewayctl.registry.claims import Parse
from gatewayctl.registry.sources import litellm, models_dev

PARSERS: Mapping[str, Parse] = {"models_dev": models_dev.parse, "litellm": litellm.parse}


def provider_names(source: str, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Map a source's provider names to ours, from what each built-in kind says of its tables.

    A kind that is in no table under any name maps to "" even if a table has its name: what tables
    say of a local server's models is how they were trained, not how they are served.
    """
    names = dict.fromkeys(kinds, "")
    for name, kind in kinds.items():
        tables = kind.tables
        listed = tables.litellm if source == "litellm" else filter(None, (tables.models_dev,))
        names.update(dict.fromkeys(listed, name))
    return names
