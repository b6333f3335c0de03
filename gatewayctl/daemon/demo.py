"""The embedded demo: the simulator on its own port, and what a newcomer is told about it."""

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import load_text
from gatewayctl.config.settings import ServerSettings, Settings
from gatewayctl.core.errors import ConfigInvalid
from gatewayctl.simulator.demo import demo_config

_HELLO = '{"model":"demo-dispatcher","messages":[{"role":"user","content":"Hello!"}]}'
_KEY = "KEY=$(gatewayctl keys create NAME)    # or a key that you have"
_GUIDE = """\
The demo is running: simulated models on this machine, {needs}. Ask for

  demo/small        a model with a window of 32,768 tokens
  demo/large        a model with a window of 262,144 tokens
  demo/flaky        32,768 tokens, and every other call fails
  demo-alloy        small or large, drawn anew for each request
  demo-cascade      flaky, then large when flaky fails
  demo-dispatcher   small, or large for what small cannot hold

{curl}

Next: `gatewayctl config init` writes a config for your own keys and model servers.
Ctrl-C stops."""


def demo_settings(base_url: str, server: ServerSettings) -> Settings:
    """Return the demo's settings for a simulator at ``base_url``."""
    loaded = load_text(demo_config(base_url), name="demo.toml", environ={}, catalog=EmptyCatalog())
    if loaded.settings is None:
        raise ConfigInvalid("the packaged demo config is wrong; please report this")
    return Settings(
        server=server,
        providers=loaded.settings.providers,
        models=loaded.settings.models,
        graph=loaded.settings.graph,
    )


def guide(url: str, *, keyed: bool) -> str:
    """Return what can be asked for, and a command line that works when pasted.

    ``keyed``: the gateway asks for a client key, which is shown nowhere; the line has its place.
    """
    curl = f"curl {url}/v1/chat/completions"
    if not keyed:
        return _GUIDE.format(needs="no key needed", curl=f"{curl} -d '{_HELLO}'")
    curl = f"{_KEY}\n{curl} -H \"x-gatewayctl-key: $KEY\" -d '{_HELLO}'"
    needs = "no provider's key needed.\nThere are client keys, so it asks for one of those"
    return _GUIDE.format(needs=needs, curl=curl)
