"""A decision as the daemon's API and dry runs tell it, with what translations would leave out."""

from gatewayctl.config.settings import Settings
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.render import Json
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.planning import Planned, Question
from gatewayctl.protocols.dropping import dropped


async def in_full(settings: Settings, question: Question, planned: Planned) -> Json:
    """Return a decision as JSON-ready values; a large body is translated in a thread."""
    decision, body = planned.sized.decision, question.body
    left_out = await offloaded(
        len(body),
        dropped,
        question.reader.protocol,
        body,
        decision.attempts,
        lambda name: settings.providers[name].flags,
    )
    return explained(decision, planned.session, left_out)
