"""The embedded demo: the simulator on its own port, and what a newcomer is told about it."""

from gatewayctl.config.catalog import EmptyCatalog
from gatewayctl.config.load import load_text
from gatewayctl.config.settings import ServerSettings, Settings
from gatewayctl.core.errors import ConfigInvalid
from gatewayctl.simulator.demo import demo_config

_GUIDE = """\
The demo is running: simulated models on this machine, no key needed. Ask for

  demo/small          32,768 tokens         demo-alloy       small or large, drawn each time
  demo/large          262,144 tokens        demo-cascade     flaky, then large when it fails
  demo/flaky          fails every 2nd call  demo-dispatcher  the first that holds the request

  curl {url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "demo-dispatcher", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

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


def guide(url: str) -> str:
    """Return what can be asked for, and a command line that works when pasted."""
    return _GUIDE.format(url=url)
