"""From a document as written to ``Settings``, with every problem that only shows in the whole.

Reads nothing: the environment, the table of models and the file's mode are handed in. What each
part means stands in ``providers``, ``models`` and ``routes``; here they are put together.
"""

from collections.abc import Mapping

import msgspec

from gatewayctl.config.catalog import Catalog
from gatewayctl.config.hosts import is_loopback
from gatewayctl.config.kinds import is_provider, kinds
from gatewayctl.config.lint import Surroundings, lint
from gatewayctl.config.models import Entry, place_estimator, resolve_defaults, resolve_models
from gatewayctl.config.names import Names, full_id
from gatewayctl.config.positions import Path
from gatewayctl.config.problems import Report, did_you_mean
from gatewayctl.config.proof import prove
from gatewayctl.config.providers import builtin, resolve_providers, with_keys
from gatewayctl.config.references import (
    check_breadth,
    check_cycles,
    check_names,
    check_suffixes,
    check_windows,
)
from gatewayctl.config.routes import build_graph, build_routes, documents, places, references
from gatewayctl.config.rules import check_headers, check_rules
from gatewayctl.config.schema import Document
from gatewayctl.config.schema_routes import PlaceDoc
from gatewayctl.config.settings import (
    ProviderSettings,
    ServerSettings,
    Settings,
)
from gatewayctl.config.sizes import Sizes
from gatewayctl.config.sources import check_sources, resolve_registry
from gatewayctl.config.support import check_support
from gatewayctl.config.tokenizer_files import TokenizerFiles
from gatewayctl.core.routing.graph import Place, Route, RouteGraph
from gatewayctl.core.routing.names import ExactModel


def resolve(
    doc: Document,
    raw: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    catalog: Catalog,
    around: Surroundings,
    report: Report,
) -> Settings:
    """Return what a document means; it is only good for use when ``report`` has no error.

    ``raw`` is the same document as TOML values, for what depends on how a value was written.
    """
    check_support(doc, report)
    _check_host(doc, around, report)
    providers = resolve_providers(doc.providers, environ, around.folder, report)
    for name in with_keys(environ):
        if name not in doc.providers:
            providers[name] = builtin(name, environ)
    files = TokenizerFiles(around.folder, around.look, report)
    defaults = resolve_defaults(doc.tokenizer, doc.model_defaults, files, report)
    models = resolve_models(doc.models, defaults, files, report)
    routes = build_routes(doc, report)
    names = Names(
        graph=build_graph(doc, routes.values()),
        kind_of=_kinds_of(providers),
        providers=providers,
        models=models,
        usual=defaults,
        catalog=catalog,
    )
    graph = _checked_graph(doc, raw, names, routes, around, report)
    check_sources(doc.registry, names.kind_of, report)
    configured = _with_referenced(doc, names, environ)
    return Settings(
        path=around.path,
        server=_server(doc),
        session_ttl=doc.routing.session_ttl,
        registry=resolve_registry(doc.registry, configured),
        model_defaults=defaults,
        providers=configured,
        models=models,
        graph=graph,
    )


def _checked_graph(
    doc: Document,
    raw: Mapping[str, object],
    names: Names,
    routes: Mapping[Path, Route],
    around: Surroundings,
    report: Report,
) -> RouteGraph:
    """Check all that takes the whole file, and return the graph with each place's estimator."""
    check_headers(doc, report)
    check_names(doc, names, report)
    _check_model_providers(doc, names, report)
    if not check_cycles(doc, names, report):
        return names.graph
    check_breadth(names, routes, report)
    sizes = Sizes(names)
    check_windows(doc, names, sizes, routes, report)
    check_suffixes(doc, names, raw, report)
    lint(doc, names, around, report)
    check_rules(doc, names, sizes, routes, report)
    prove(doc, names, sizes, routes, report)
    files = TokenizerFiles(around.folder, around.look, report)
    return build_graph(doc, _with_estimators(doc, names, routes, files, report).values())


def _check_host(doc: Document, around: Surroundings, report: Report) -> None:
    if not is_loopback(doc.server.host) and not doc.server.keys and not around.keyed:
        report.error(
            ("server", "host"),
            "public-host-without-keys",
            f"{doc.server.host} is reachable from other machines, and there are no client keys",
            'make one with gatewayctl keys create NAME, or keep "127.0.0.1"',
        )


def _kinds_of(providers: Mapping[str, ProviderSettings]) -> dict[str, str]:
    found = {name: settings.provider.kind for name, settings in providers.items()}
    usual = {name: name for name, kind in kinds().items() if is_provider(kind)}
    return {**found, **{name: kind for name, kind in usual.items() if name not in found}}


def _check_model_providers(doc: Document, names: Names, report: Report) -> None:
    for number, model in enumerate(doc.models):
        provider = (model.id or "").partition("/")[0]
        if provider and provider not in names.kind_of and provider not in doc.providers:
            message = f'no provider is called "{provider}"'
            near = did_you_mean(provider, names.kind_of)
            hint = near or f"known providers: {', '.join(names.kind_of)}"
            report.error(("models", number, "id"), "unknown-provider", message, hint)


def _with_referenced(
    doc: Document, names: Names, environ: Mapping[str, str]
) -> dict[str, ProviderSettings]:
    """Add the built-in providers that are only referred to, so that routing can say ``no_key``."""
    found = dict(names.providers)
    named = (names.find(reference.target) for reference in references(doc))
    mentioned = [model.provider for model in named if isinstance(model, ExactModel)]
    mentioned += [(model.id or "").partition("/")[0] for model in doc.models]
    for provider in mentioned:
        if provider in names.kind_of and provider not in found:
            found[provider] = builtin(provider, environ)
    return found


def _with_estimators(
    doc: Document,
    names: Names,
    routes: Mapping[Path, Route],
    files: TokenizerFiles,
    report: Report,
) -> dict[Path, Route]:
    """Return the routes with each place's own estimator, which stands over its model's."""
    estimated = dict(routes)
    for path, route in documents(doc):
        built = routes[path]
        own = [
            _estimated(
                plain,
                place,
                names,
                Entry(path=(*where, "tokenizer"), files=files, report=report, kind="kind"),
            )
            for (where, place), plain in zip(places(path, route), built.places, strict=True)
        ]
        estimated[path] = msgspec.structs.replace(built, places=tuple(own))
    return estimated


def _estimated(plain: Place, doc: PlaceDoc, names: Names, at: Entry) -> Place:
    end = names.end(plain.model) if doc.tokenizer is not None else None
    if doc.tokenizer is None or end is None:
        return plain
    if not isinstance(end, ExactModel):
        message = f"{plain.model} is a route, and each of its models has a tokenizer"
        hint = "say it at that route's own places"
        at.report.error(at.path, "tokenizer-on-route", message, hint)
        return plain
    base = names.said(full_id(end)).settings.estimator
    kind = kinds().get(names.kind_of.get(end.provider, ""))
    if kind is not None:
        base = kind.families.known(base, end.model)
    return msgspec.structs.replace(plain, estimator=place_estimator(base, doc.tokenizer, at))


def _server(doc: Document) -> ServerSettings:
    said = {name: getattr(doc.server, name) for name in ServerSettings.__struct_fields__}
    return ServerSettings(**said)


def no_file(environ: Mapping[str, str], catalog: Catalog) -> Settings:
    """Return what holds without a file: the built-in providers whose key variable is set."""
    report = Report("", "")
    around = Surroundings()
    return resolve(Document(), {}, environ=environ, catalog=catalog, around=around, report=report)
