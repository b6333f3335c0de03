"""``gatewayctl models`` with a home and an environment of its own."""

import json
import os
from pathlib import Path
from typing import Any

from support.tables import TableServer
from support.terminal import in_environment


class Cli:
    """Runs the program's commands in this process, with a home of their own.

    A process for each would take a third of a second, and prove nothing more.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config.toml"
        keep = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        self.environ = {
            **keep,
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "NO_PROXY": "127.0.0.1",
        }

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run ``gatewayctl models …``, expect an exit code, and return both outputs."""
        ran = in_environment(self.environ, "models", *arguments)
        assert ran.status == code, ran.err
        return ran.out + ran.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run with ``--json`` and return the document."""
        document = json.loads(self(*arguments, "--json", code=code))
        assert document["schema_version"] == 1
        return document

    def sources(self, server: TableServer, **more: str) -> None:
        """Write a config whose LiteLLM table comes from ``server``, models.dev's from nowhere."""
        urls = {"litellm": server.url, "models_dev": "", **more}
        lines = [f"{name} = {json.dumps(url)}" for name, url in urls.items()]
        self.config.write_text("\n".join(("[registry.sources]", *lines)) + "\n")
