"""Genuine agents on an upstream of another protocol, set up with what ``gatewayctl env`` prints.

The setting is the agent, a tap that records its bytes, a ``gatewayctl serve`` that translates, and
a simulator that speaks one protocol alone and refuses whatever its provider would.
"""

import contextlib
import shlex
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from support.agents import Setting
from support.processes import Finished, run, serving
from support.tap import Tap

from gatewayctl import simulator as simulators
from gatewayctl.simulator import SimModel
from gatewayctl.simulator.journal import Received

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL: Final = SimModel(id="gemini-3-house", window=200_000, max_output=32_000)
"""Named as those models are that refuse calls without the signatures they gave."""

ROUTE: Final = "coding"
LONGEST_RUN: Final = 60.0
"""Seconds; a run takes from one to four."""

CODEX_SETTINGS: Final = """
approval_policy = "never"
sandbox_mode = "danger-full-access"
[analytics]
enabled = false
"""
"""What Codex needs to run by itself, besides its profile."""

_KINDS: Final = {
    "chat_completions": ("openai-compatible", "v1"),
    "responses": ("openai-compatible", "v1"),
    "messages": ("anthropic-compatible", "v1"),
    "gemini": ("gemini", "v1beta"),
}
"""The kind of a provider that speaks each protocol, and the path that its base URL has."""


class Translating(msgspec.Struct, frozen=True, kw_only=True):
    """A running setting; ``config`` is the gateway's, which ``gatewayctl env`` reads as well."""

    setting: Setting
    config: Path

    @property
    def arrived(self) -> list[Received]:
        """Every call that reached the upstream, in order."""
        return self.setting.simulator.journal.calls()

    def environment(self, tool: str) -> str:
        """Return the command that prints what a tool needs, for a shell."""
        command = [sys.executable, "-m", "gatewayctl", "env", tool]
        command += ["--config", str(self.config), "--url", self.setting.tap.url]
        return f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join(command)}"

    async def run(
        self, tool: str, command: Sequence[str | Path], seconds: float = LONGEST_RUN, **env: str
    ) -> Finished:
        """Run a tool in the environment that ``gatewayctl env`` gives a shell."""
        script = f'eval "$({self.environment(tool)})"; exec "$@"'
        return await run(
            ["sh", "-c", script, "sh", *command],
            env=self.setting.env(NO_PROXY="127.0.0.1", **env),
            cwd=self.setting.home,
            seconds=seconds,
        )

    async def plain(self, command: Sequence[str | Path], seconds: float = LONGEST_RUN) -> Finished:
        """Run a tool that files lead to the gateway; whatever is not on loopback is not there."""
        return await run(
            command,
            env=self.setting.env(NO_PROXY="127.0.0.1", HTTPS_PROXY="http://127.0.0.1:9"),
            cwd=self.setting.home,
            seconds=seconds,
        )

    async def printed(self, tool: str, *options: str) -> str:
        """Return what ``gatewayctl env`` prints for a tool."""
        done = await run(
            ["sh", "-c", f"{self.environment(tool)} {shlex.join(options)}"],
            env=self.setting.env(),
            cwd=self.setting.home,
            seconds=LONGEST_RUN,
        )
        assert done.status == 0, done.stderr
        return done.stdout

    async def equip_codex(self, more: str = "") -> None:
        """Write Codex's settings and the profile that is printed for it, with ``more`` below."""
        folder = self.setting.home / ".codex"
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(CODEX_SETTINGS, encoding="utf-8")
        profile = await self.printed("codex") + more
        (folder / "gatewayctl.config.toml").write_text(profile, encoding="utf-8")

    async def equip_gemini(self, **more: object) -> None:
        """Write the settings that are printed for Gemini CLI, with ``more`` of them."""
        folder = self.setting.home / ".gemini"
        folder.mkdir(exist_ok=True)
        settings = msgspec.json.decode(await self.printed("gemini", "--file")) | more
        (folder / "settings.json").write_bytes(msgspec.json.encode(settings))


@contextlib.asynccontextmanager
async def translating(
    protocol: str,
    folder: Path,
    model: SimModel = MODEL,
    more: str = "",
    *,
    declared: int | None = None,
    tokenizer: str | None = None,
    strict: bool = True,
) -> AsyncIterator[Translating]:
    """Run the setting: the route ``coding`` leads to a model that speaks ``protocol`` alone.

    ``more`` is further config, ``declared`` the window that the gateway believes the model to have.
    ``strict``: the upstream refuses whatever the strictest provider of the protocol refuses.
    """
    home = folder / "home"
    home.mkdir()
    simulator = await simulators.start(models=[model], tokenizer=tokenizer)
    kind, path = _KINDS[protocol]
    config = f"""
[providers.up]
kind = "{kind}"
base_url = "{simulator.base_url}/{path}"
auth = "none"
protocols = ["{protocol}"]
headers = {{ "x-sim-fault" = "{"strict" if strict else ""}" }}

[[models]]
id = "up/{model.id}"
context_window = {declared or model.window}
max_output_tokens = {model.max_output}

[[cascades]]
id = "{ROUTE}"
steps = [{{ model = "up/{model.id}" }}]

[aliases]
"gemini-*" = "{ROUTE}"
{more}
"""
    try:
        async with serving(config, folder) as daemon, Tap(daemon.host, daemon.port) as tap:
            setting = Setting(simulator=simulator, tap=tap, home=home)
            yield Translating(setting=setting, config=folder / "config.toml")
    finally:
        await simulator.close()
