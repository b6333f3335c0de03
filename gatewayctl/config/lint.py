"""What works but is probably not what was meant: warnings, which ``--strict`` makes errors."""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from gatewayctl.config.names import Names, full_id, window_of
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report
from gatewayctl.config.routes import documents, places, references
from gatewayctl.config.schema import Document
from gatewayctl.config.schema_providers import OAuthDoc
from gatewayctl.config.schema_routes import AlloyDoc, CascadeDoc, DispatcherDoc, PlaceDoc
from gatewayctl.config.secrecy import is_secret_header, is_secret_url
from gatewayctl.config.tokenizer_files import Look, unseen
from gatewayctl.core.model import Capability, Sourced
from gatewayctl.core.pricing import goes_by_hour
from gatewayctl.core.routing.graph import AlloyStrategy
from gatewayctl.core.routing.names import ExactModel, alias
from gatewayctl.core.routing.place import LEARNED

RETIRING_DAYS = 60


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file besides its text.

    Relative paths in it start at ``folder``, ``""`` being the current one.
    ``readable_by_others``: users besides the owner may read it. ``today`` is what retirement
    dates are held against, None to leave them alone. ``reload``: what only the registry can have
    brought about is a warning, since models that it lost are skipped at run time. ``keyed``:
    there are client keys besides those of the file. ``look`` says what is wrong with a tokenizer
    file.
    """

    path: str | None = None
    folder: str = ""
    readable_by_others: bool = False
    today: date | None = None
    reload: bool = False
    keyed: bool = False
    look: Look = unseen


def lint(doc: Document, names: Names, around: Surroundings, report: Report) -> None:
    """Warn of everything unwise. Names must not be nested too deeply."""
    _secrets(doc, around, report)
    _unlisted(doc, names, report)
    _shadowed(doc, names, report)
    _retiring(doc, names, around, report)
    _large_windows(doc, names, report)
    _large_default(doc, names, report)
    _hours_of_prices(doc, names, report)
    for path, route in documents(doc):
        match route:
            case AlloyDoc():
                _weights(path, route, report)
                _unlike(path, route, names, report)
            case CascadeDoc():
                _single_provider(path, route, names, report)
                _repeated(path, route, names, report)
            case DispatcherDoc():
                _repeated(path, route, names, report)
            case _:
                continue


def _secrets(doc: Document, around: Surroundings, report: Report) -> None:
    for path in _plain_secrets(doc):
        message = "a secret in plain text"
        if around.readable_by_others:
            message += ", in a file that other users can read"
        hint = 'write { env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", …] }'
        if path[2] != "api_key":
            hint = "a secret in api_key can come from the environment; here it cannot"
        report.warn(path, "plain-secret", message, hint)


def _plain_secrets(doc: Document) -> Iterator[Path]:
    for name, provider in doc.providers.items():
        path: Path = ("providers", name, "api_key")
        if isinstance(provider.api_key, str):
            yield path
        elif isinstance(provider.api_key, tuple):
            keys = enumerate(provider.api_key)
            yield from ((*path, number) for number, key in keys if isinstance(key, str))
        for header, value in provider.headers.items():
            if value and is_secret_header(header):
                yield ("providers", name, "headers", header)
        for key, url in (("base_url", provider.base_url), ("proxy", provider.proxy)):
            if url and is_secret_url(url):
                yield ("providers", name, key)
        if provider.oauth is not None:
            yield from _plain_in_oauth(provider.oauth, ("providers", name, "oauth"))


def _plain_in_oauth(oauth: OAuthDoc, path: Path) -> Iterator[Path]:
    for key, url in (("authorize_url", oauth.authorize_url), ("token_url", oauth.token_url)):
        if url and is_secret_url(url):
            yield (*path, key)


def _mentions(doc: Document, names: Names) -> Iterator[tuple[Path, str]]:
    """Yield every model that the file names, by its full id, where it does."""
    for reference in references(doc):
        named = names.find(reference.target)
        if isinstance(named, ExactModel):
            yield reference.path, full_id(named)
    for number, model in enumerate(doc.models):
        if model.id:
            yield ("models", number, "id"), model.id


def _unlisted(doc: Document, names: Names, report: Report) -> None:
    """Warn of exact ids that no source lists, unless the file itself declares them."""
    declared = {model.id for model in doc.models}
    for reference in references(doc):
        named = names.find(reference.target)
        if not isinstance(named, ExactModel) or full_id(named) in declared:
            continue
        listed = names.listed_as(full_id(named))
        known = names.listed(full_id(named)) is not None
        if not known and names.catalog.covers(listed.partition("/")[0]):
            kind = f"{listed.partition('/')[0]}/"
            near = [
                f"{named.provider}/{name.removeprefix(kind)}"
                for name in (names.catalog.nearest(listed) if report.few else ())
                if name.startswith(kind)
            ]
            message = f"no source lists {full_id(named)}; it is forwarded as it is"
            hint = f"near: {', '.join(near)}" if near else "declare it in [[models]] if it is right"
            if "*" in named.model:
                hint = "name one model: a * in a target stands for nothing"
            report.warn(reference.path, "unlisted-model", message, hint)


def _shadowed(doc: Document, names: Names, report: Report) -> None:
    """Warn of names that mean something else first, so that nobody reaches them."""
    for path, route in documents(doc):
        where = (*path, "id")
        provider, slash, _ = (route.id or "").partition("/")
        if slash and provider in names.kind_of:
            message = f"{route.id} means a model of the provider {provider}, never this route"
            report.warn(where, "shadowed-name", message, "choose another id")
        elif route.id and (other := alias(route.id, names.graph)) and other.pattern:
            message = f'the alias "{other.pattern}" matches {route.id} before this route does'
            report.warn(where, "shadowed-name", message, "choose another id or pattern")
    for name in doc.aliases:
        provider, slash, _ = name.partition("/")
        if slash and provider in names.kind_of:
            message = f"{name} means a model of the provider {provider}, never this alias"
            report.warn(("aliases", name), "shadowed-name", message, "choose another name")


def _retiring(doc: Document, names: Names, around: Surroundings, report: Report) -> None:
    if around.today is None:
        return
    soon = around.today + timedelta(days=RETIRING_DAYS)
    for path, model in _mentions(doc, names):
        listed = names.listed(model)
        retires = listed.retires_at if listed else None
        day = _day(retires)
        if retires is not None and day is not None and day <= soon:
            verb = "retired" if day <= around.today else "retires"
            message = f"{model} {verb} on {day.isoformat()} ({retires.source})"
            report.warn(path, "retiring-model", message, "move to a model that stays")


def _day(retires: Sourced[str] | None) -> date | None:
    try:
        return date.fromisoformat(retires.value[:10]) if retires else None
    except ValueError:
        return None


def _large_windows(doc: Document, names: Names, report: Report) -> None:
    for number, model in enumerate(doc.models):
        if model.id and model.context_window:
            path: Path = ("models", number, "context_window")
            known = names.held(model.id, model.context_window)
            _larger(path, (model.id, model.context_window), known, report)
    for path, route in documents(doc):
        for where, place in places(path, route):
            said: int | None = getattr(place, "context_window", None)
            end = names.end(place.model) if place.model else None
            if said is not None and isinstance(end, ExactModel):
                declared = names.said(full_id(end)).facts.context_window
                known = declared or names.held(full_id(end), said)
                _larger((*where, "context_window"), (full_id(end), said), known, report)


def _larger(
    path: Path, declared: tuple[str, int], known: Sourced[int] | None, report: Report
) -> None:
    model, said = declared
    if known is None or said <= known.value:
        return
    since = f" as of {known.fetched_at}" if known.fetched_at else ""
    message = f"{said} tokens; {known.source}{since} says that {model} holds {known.value}"
    hint = f"write {known.value} unless you know"
    if known.source == LEARNED:
        message = f"{said} tokens; a reply{since} gave away that {model} holds {known.value}"
        hint = f"write {known.value}, or gatewayctl models forget {model}"
    report.warn(path, "window-larger-than-known", message, hint)


def _large_default(doc: Document, names: Names, report: Report) -> None:
    """Warn of a window for every model that is larger than what one of those here holds."""
    said = doc.model_defaults.context_window
    own = {model.id for model in doc.models if model.context_window}
    for _, model in _mentions(doc, names) if said else ():
        known = window_of(names.listed(model))
        if said and model not in own and known is not None and said > known.value:
            path: Path = ("model_defaults", "context_window")
            _larger(path, (model, said), known, report)
            return


def _hours_of_prices(doc: Document, names: Names, report: Report) -> None:
    """Warn of prices off the peak without hours, and of hours without such a price."""
    for number, model in enumerate(doc.models):
        if not model.id:
            continue
        path, facts = ("models", number), names.facts(model.id)
        priced = next(filter(goes_by_hour, model.prices), None)
        if priced is not None and facts.off_peak is None:
            message = "it never holds: its hours are not known"
            hint = 'write off_peak_hours, like ["16:30-00:30", "Sat-Sun"] (UTC)'
            report.warn((*path, "prices", priced), "price-without-hours", message, hint)
        if model.off_peak_hours and not any(map(goes_by_hour, facts.prices)):
            message = "no price is another at these hours"
            hint = 'write what is asked then: prices = { "input@off_peak" = … }'
            report.warn((*path, "off_peak_hours"), "hours-without-price", message, hint)


def _unlike(path: Path, route: AlloyDoc, names: Names, report: Report) -> None:
    """Warn of a blend whose members cannot do the same things."""
    for capability in (Capability.TOOLS, Capability.IMAGES, Capability.REASONING):
        able: str | None = None
        lacking: tuple[Path, str, str] | None = None
        for (where, _), place in zip(places(path, route), route.constituents, strict=True):
            for model in names.leaves(place.model) if place.model else ():
                said = names.facts(full_id(model)).capabilities.get(capability)
                if said is not None and said.value:
                    able = full_id(model)
                elif said is not None and lacking is None:
                    lacking = ((*where, "model"), full_id(model), said.source)
        if able and lacking:
            at, model_id, source = lacking
            message = (
                f"{model_id} has no {capability} ({source}) and {able} has: requests that need it "
                "change the blend"
            )
            hint = "blend models that are alike, or say what they can do in [[models]]"
            report.warn(at, "alloy-unlike-constituents", message, hint)


def _weights(path: Path, route: AlloyDoc, report: Report) -> None:
    if route.strategy is not AlloyStrategy.ROUND_ROBIN:
        return
    for number, place in enumerate(route.constituents):
        if place.weight is not None:
            where = (*path, "constituents", number, "weight")
            message = 'strategy = "round_robin" does not look at weights'
            report.warn(where, "weight-not-used", message, 'remove it, or strategy = "weighted"')


def _single_provider(path: Path, route: CascadeDoc, names: Names, report: Report) -> None:
    models = {model for step in route.steps if step.model for model in names.leaves(step.model)}
    providers = {model.provider for model in models}
    if len(models) > 1 and len(providers) == 1:
        message = f"every step is at {providers.pop()}: when it is down, the whole cascade is"
        report.warn((*path, "steps"), "cascade-single-provider", message, "add another provider")


def _repeated(path: Path, route: CascadeDoc | DispatcherDoc, names: Names, report: Report) -> None:
    """Warn of places that are never reached, as a model is attempted by its first place only."""
    seen: set[str] = set()
    for where, place in places(path, route):
        models = _reached(place, names)
        if models and models <= seen:
            at = where if isinstance(route, DispatcherDoc) else (*where, "model")
            message = f"{place.model} is never reached: an earlier place leads to the same"
            report.warn(at, "never-reached", message, "remove it")
        if getattr(place, "context_window", None) is None:
            seen |= models


def _reached(place: PlaceDoc, names: Names) -> set[str]:
    return {full_id(model) for model in names.leaves(place.model)} if place.model else set()
