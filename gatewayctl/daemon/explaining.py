"""A decision as the daemon's API and dry runs tell it, with what translations would leave out."""

import msgspec

from gatewayctl.config.settings import Settings
from gatewayctl.core.routing.decision import Decision, Judged, Node, SkipReason
from gatewayctl.core.routing.explained import explained
from gatewayctl.core.routing.render import Json
from gatewayctl.daemon.accounts import Accounts
from gatewayctl.daemon.offload import offloaded
from gatewayctl.daemon.paying import afforded
from gatewayctl.daemon.planning import Planned, Question
from gatewayctl.protocols.dropping import dropped


async def in_full(
    accounts: Accounts, settings: Settings, question: Question, planned: Planned
) -> Json:
    """Return a decision as JSON-ready values; a large body is translated in a thread.

    What the budget of a client does not pay for is skipped, as things are now. Whoever asks with a
    client key is told of no model that the key may not use.
    """
    body = question.body
    decision = await afforded(accounts, settings, question, planned.sized.decision)
    left_out = await offloaded(
        len(body),
        dropped,
        question.reader.protocol,
        body,
        decision.attempts,
        lambda name: settings.providers[name].flags,
    )
    if question.client is not None:
        decision = _pruned(decision)
    return explained(decision, planned.session, left_out)


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A tree without some of its models, and without routes that lead to them alone."""

    judged: Judged
    hidden: frozenset[str]

    def node(self) -> Node:
        return self._without(self.judged.node())

    def _without(self, node: Node) -> Node:
        kept = []
        for child in node.children:
            left = self._without(child)
            if child.id not in self.hidden and (left.children or not child.children):
                kept.append(left)
        return msgspec.structs.replace(node, children=tuple(kept))


def _pruned(decision: Decision) -> Decision:
    hidden = {it.model for it in decision.skipped if it.reason is SkipReason.NOT_ALLOWED}
    if not hidden:
        return decision
    judged = decision.judged
    alone = judged is None or judged.node().id in hidden
    return msgspec.structs.replace(
        decision,
        skipped=tuple(it for it in decision.skipped if it.model not in hidden),
        judged=None if judged is None or alone else _Seen(judged=judged, hidden=frozenset(hidden)),
    )
