"""The keys of a model's prices: what is priced, at which tier, above which size of the input.

What a key means is ``core.pricing``'s business; here it is told what is wrong with one.
"""

import re

import msgspec

from gatewayctl.config.problems import Wrong, did_you_mean
from gatewayctl.core.pricing import DIMENSIONS, RateKey, tier_names

_TIER = r"[a-z0-9][a-z0-9_.+-]{0,63}"
_STEP = r"[1-9][0-9]{0,8}"
_KEY = re.compile(rf"([^@>]+)(?:@({_TIER}))?(?:>({_STEP}))?")
_FORMS = 'write it like input, "input@flex", "input>272000" or "input@flex>272000"'


class Rate(msgspec.Struct, frozen=True):
    """A rate key: a dimension, ``@`` and a tier, ``>`` and a number of input tokens."""

    def read(self, value: object) -> str:
        """Return the key."""
        name = str(value)
        found = _KEY.fullmatch(name)
        if found is None:
            raise Wrong("price-key-out-of-form", f"{_quoted(name)} names no price", _FORMS)
        dimension, tier, step = found.groups()
        if dimension not in DIMENSIONS:
            hint = did_you_mean(dimension, DIMENSIONS) or f"known: {', '.join(DIMENSIONS)}"
            raise Wrong("unknown-key", f"unknown key {_quoted(name)}", hint)
        usual = tier_names(tier)
        rate = RateKey(dimension, usual[0] if usual else "", int(step or 0))
        if tier is not None and rate.tier != tier:
            message = f'"{tier}" is the base tier, which has no name here'
            if usual:
                message = f'"{tier}" is another word for the tier "{rate.tier}"'
            raise Wrong("price-key-out-of-form", message, f"write {_quoted(str(rate))}")
        return str(rate)

    def json_schema(self) -> dict[str, object]:
        """Return a dimension that may have a tier and a step."""
        return {"pattern": f"^({'|'.join(DIMENSIONS)})(@{_TIER})?(>{_STEP})?$"}


def _quoted(name: str) -> str:
    return msgspec.json.encode(name).decode()
