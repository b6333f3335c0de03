"""From ``[registry]`` as written, and the providers that are configured, to the registry's sources.

How a source is asked and read is the registry's business.
"""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from gatewayctl.config.hosts import is_near
from gatewayctl.config.kinds import kinds
from gatewayctl.config.problems import Report, did_you_mean
from gatewayctl.config.schema import Refresh, RegistryDoc, SourceDoc
from gatewayctl.config.settings import (
    TABLES,
    ProviderSettings,
    RegistrySettings,
    SourceSettings,
    source_name,
)

# A server of one's own loads other models, or the same with another window, at any time.
_LOCAL_TTL = 600.0
_LOCAL_TIMEOUT = 10.0


def resolve_registry(
    doc: RegistryDoc, providers: Mapping[str, ProviderSettings]
) -> RegistrySettings:
    """Return the tables and each provider's own listing, with what the file says of them."""
    sources = {
        name: _settled(doc.sources.get(name), doc, SourceSettings(url=url, ttl=0.0, timeout=0.0))
        for name, url in TABLES.items()
    }
    for name, settings in providers.items():
        kind = kinds().get(settings.provider.kind)
        if kind is None or not kind.listing:
            continue
        local = is_local(settings)
        usual = SourceSettings(
            url=settings.base_url,
            ttl=min(doc.ttl, _LOCAL_TTL) if local else 0.0,
            timeout=min(doc.timeout, _LOCAL_TIMEOUT) if local else 0.0,
            provider=name,
            listing=kind.listing,
        )
        source = source_name(name)
        sources[source] = _settled(doc.sources.get(source), doc, usual)
    return RegistrySettings(background=doc.refresh is Refresh.BACKGROUND, sources=sources)


def is_local(provider: ProviderSettings) -> bool:
    """Tell whether a provider is a server of one's own, by its kind or by where it is."""
    kind = kinds().get(provider.provider.kind)
    if kind is not None and kind.local:
        return True
    return is_near(urlsplit(provider.base_url).hostname or "")


def check_sources(doc: RegistryDoc, providers: Collection[str], report: Report) -> None:
    """Report sources that are neither a table nor a provider; built-in ones may have no key."""
    known = dict.fromkeys([*TABLES, *(source_name(name) for name in providers)])
    for name in doc.sources:
        if name not in known:
            usual = f"tables: {', '.join(TABLES)}; else a provider, for its own listing"
            hint = (did_you_mean(name, known) if report.few else "") or usual
            path = ("registry", "sources", name)
            report.unknown(path, "unknown-source", f'no source is called "{name}"', hint)


def _settled(
    said: str | SourceDoc | None, doc: RegistryDoc, usual: SourceSettings
) -> SourceSettings:
    """Return a source with the file's word on it over ``usual``, where 0 stands for all sources'.

    Over both stands nothing.
    """
    source = said if isinstance(said, SourceDoc) else SourceDoc(url=said)
    return SourceSettings(
        url=usual.url if source.url is None else source.url,
        ttl=source.ttl or usual.ttl or doc.ttl,
        timeout=source.timeout or usual.timeout or doc.timeout,
        provider=usual.provider,
        listing=usual.listing,
    )
