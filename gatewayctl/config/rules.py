"""What is wrong with the rules of dispatchers: conditions that never hold, rules never reached.

A rule is reached when no rule before it takes every request that it could take, so both the
conditions and what the targets can answer count.
"""

from collections.abc import Iterator, Mapping

from gatewayctl.config.forms import is_header_name
from gatewayctl.config.names import Names
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.routes import documents
from gatewayctl.config.schema import Document
from gatewayctl.config.schema_routes import DispatcherDoc
from gatewayctl.config.sizes import Sizes
from gatewayctl.core.model import Capability
from gatewayctl.core.routing.graph import Dispatcher, FitMode, Route, Rule, When

_FLAGS = ("tools", "images", "documents", "audio", "stream", "reasoning", "json_schema")
_ABLE = tuple(Capability(flag) for flag in _FLAGS if flag in set(Capability))
_COMPARED = 100
"""With how many rules before it a rule is compared: a program's list may have thousands."""


def check_headers(doc: Document, report: Report) -> None:
    """Report header conditions that no request can meet by their form."""
    for number, dispatcher in enumerate(doc.dispatchers):
        for index, rule in enumerate(dispatcher.rules):
            path: Path = ("dispatchers", number, "rules", index, "when", "header")
            seen: set[str] = set()
            for name in rule.when.header:
                if not is_header_name(name):
                    message = f'"{name}" is no name of an HTTP header'
                    hint = "names have letters, digits and hyphens"
                    report.error((*path, name), "header-out-of-form", message, hint)
                elif name.lower() in seen:
                    message = f'"{name}" is said already: names of headers have no case'
                    report.error((*path, name), "duplicate-header", message, "keep one of them")
                seen.add(name.lower())


def check_rules(
    doc: Document, names: Names, sizes: Sizes, routes: Mapping[Path, Route], report: Report
) -> None:
    """Warn of rules that can never be reached. Names must not be nested too deeply."""
    for path, written in documents(doc):
        route = routes[path]
        if isinstance(route, Dispatcher) and isinstance(written, DispatcherDoc):
            _check(path, route, names, sizes, report)


def _check(path: Path, route: Dispatcher, names: Names, sizes: Sizes, report: Report) -> None:
    live: list[tuple[int, Rule]] = []
    for number, rule in enumerate(route.rules):
        at: Path = (*path, "rules", number, "when")
        if report.is_touched((*path, "rules", number)):
            continue  # what it says is not known
        why = next(_never(rule, route, names, sizes), None)
        if why is not None:
            report.warn(at, "never-reached", f"this rule is never reached: {why}", "remove it")
            continue
        before = next(
            (
                index
                for index, other in live[:_COMPARED]
                if _implies(rule.when, other.when) and _covers(other, rule, route, names, sizes)
            ),
            None,
        )
        if before is not None:
            message = (
                f"this rule is never reached: rules[{before}] holds wherever it does, and "
                f"{route.rules[before].target.model} takes whatever {rule.target.model} could"
            )
            hint = f"put it before rules[{before}], or remove it"
            report.warn(at, "never-reached", message, hint)
            continue
        live.append((number, rule))
        if rule.when == When() and number + 1 < len(route.rules):
            message = (
                "a rule without conditions always holds: those after it are asked only where "
                f"{rule.target.model} cannot answer"
            )
            report.warn(at, "rule-always-holds", message, "put it last, or give it a condition")


def _never(rule: Rule, route: Dispatcher, names: Names, sizes: Sizes) -> Iterator[str]:
    """Yield why a rule cannot choose its target, whatever the request."""
    when, target = rule.when, rule.target.model
    least, most = when.min_input_tokens, when.max_input_tokens
    if least is not None and most is not None and least > most:
        yield f"no input has at least {least} and at most {most} tokens"
    for capability in _ABLE:
        if getattr(when, capability) and (said := names.denies(target, capability)):
            yield f"{target} has no {capability} ({said.source})"
    spoken = _protocols(rule, names)
    if when.protocol is not None and spoken and when.protocol not in spoken:
        yield f"{target} does not speak {when.protocol}"
    ceiling = sizes.place(rule.target, route.policy).ceiling
    if least and ceiling is not None and least >= ceiling and _sized(rule, route, names):
        yield f"{target} holds {ceiling} tokens, which {least} of input fill up"


def _sized(rule: Rule, route: Dispatcher, names: Names) -> bool:
    """Tell whether sizes are checked at a rule's target."""
    end = names.end(rule.target.model)
    policy = end.policy if isinstance(end, Route) else route.policy
    return policy.fit is not FitMode.OFF


def _implies(when: When, other: When) -> bool:
    """Tell whether ``other`` holds wherever ``when`` does."""
    if other.max_input_tokens is not None and (
        when.max_input_tokens is None or when.max_input_tokens > other.max_input_tokens
    ):
        return False
    if other.min_input_tokens and (when.min_input_tokens or 0) < other.min_input_tokens:
        return False
    exact = (*_FLAGS, "protocol", "client")
    if any(getattr(other, key) not in {None, getattr(when, key)} for key in exact):
        return False
    return all(
        name in when.header and _narrower(when.header[name], pattern)
        for name, pattern in other.header.items()
    )


def _narrower(pattern: str, other: str) -> bool:
    """Tell whether a pattern matches nothing that ``other`` does not, as far as that is plain."""
    start, star, end = other.partition("*")
    plain = bool(star) and not end and not set(start) & set("?[")
    return pattern == other or (plain and pattern.startswith(start))


def _covers(other: Rule, rule: Rule, route: Dispatcher, names: Names, sizes: Sizes) -> bool:
    """Tell whether the target of ``other`` can answer whatever that of ``rule`` can."""
    theirs = sizes.place(other.target, route.policy)
    ours = sizes.place(rule.target, route.policy)
    if theirs.room is not None and (ours.room is None or theirs.room < ours.room):
        return False
    lacking = (it for it in Capability if names.denies(other.target.model, it) is not None)
    if any(names.denies(rule.target.model, it) is None for it in lacking):
        return False
    return _protocols(rule, names) <= _protocols(other, names)


def _protocols(rule: Rule, names: Names) -> frozenset[str]:
    leaves = names.leaves(rule.target.model)
    return frozenset(it for model in leaves for it in names.protocols(model.provider))
