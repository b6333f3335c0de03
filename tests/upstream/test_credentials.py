import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from gatewayctl.config.settings import FromCommand, FromEnv, FromFile, Plain, Secret
from gatewayctl.core.errors import FailureKind, UpstreamFailed
from gatewayctl.upstream.credentials import Credentials, serves

from .conftest import MakeProvider, until


def python(code: str, *arguments: str) -> FromCommand:
    """Return a credential that a small program prints."""
    return FromCommand(argv=(sys.executable, "-S", "-c", code, *arguments))


async def refusal(credentials: Credentials, provider: MakeProvider, secret: Secret) -> str:
    """Return the message about a credential that cannot be used."""
    with pytest.raises(UpstreamFailed) as caught:
        await credentials.get(provider(secrets=(secret,)))
    assert caught.value.failure.kind is FailureKind.AUTH
    return caught.value.failure.message


async def test_variable_is_read_at_each_look_up(provider: MakeProvider) -> None:
    """A variable that appears or changes later counts from then on."""
    environ: dict[str, str] = {}
    credentials = Credentials(environ)
    settings = provider(secrets=(FromEnv(name="A_KEY"),))
    assert not credentials.available(settings)
    environ["A_KEY"] = " sk-1\n"
    assert credentials.available(settings)
    assert await credentials.get(settings) == "sk-1"
    environ["A_KEY"] = "sk-2"
    assert await credentials.get(settings) == "sk-2"


async def test_provider_without_credentials_has_none(provider: MakeProvider) -> None:
    """No named credential is not an error: a local server asks for none."""
    credentials = Credentials({})
    assert await credentials.get(provider()) is None
    assert not credentials.available(provider())


async def test_first_usable_credential_is_taken(provider: MakeProvider) -> None:
    """A list is gone through in order; what is not there is passed over."""
    secrets = (FromEnv(name="UNSET"), FromEnv(name="SET"), Plain(value="sk-plain"))
    assert await Credentials({"SET": "sk-set"}).get(provider(secrets=secrets)) == "sk-set"
    assert await Credentials({}).get(provider(secrets=secrets)) == "sk-plain"


async def test_file_is_read_again_when_it_changes(provider: MakeProvider, tmp_path: Path) -> None:
    """A rotated file is seen at the next call, an unchanged one is not read twice."""
    path = tmp_path / "key"
    credentials = Credentials({})
    settings = provider(secrets=(FromFile(path=str(path)),))
    assert not credentials.available(settings)
    path.write_text("sk-1\n")
    assert credentials.available(settings)
    assert await credentials.get(settings) == "sk-1"
    path.write_text("sk-2\n")
    os.utime(path, ns=(1, 1))
    assert await credentials.get(settings) == "sk-2"
    path.write_text("sk-3\n")
    os.utime(path, ns=(1, 1))
    assert await credentials.get(settings) == "sk-2"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
async def test_a_pipe_in_the_place_of_a_file_is_passed_over(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """To open it would stop the event loop until somebody writes into it, if anybody does."""
    os.mkfifo(tmp_path / "pipe")
    secrets = (FromFile(path=str(tmp_path / "pipe")), Plain(value="sk-plain"))
    assert await Credentials({}).get(provider(secrets=secrets)) == "sk-plain"


async def test_home_folder_in_a_path_is_expanded(provider: MakeProvider) -> None:
    """``~`` means the home folder, as in a shell; the message shows what was written."""
    message = await refusal(Credentials({}), provider, FromFile(path="~/no-such-key-file"))
    assert "~/no-such-key-file cannot be read: No such file" in message


async def test_program_runs_once_for_many_and_for_a_while(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """Ten calls at once and those after them share one run, until its time is over."""
    log = tmp_path / "runs"
    code = "import sys,time; open(sys.argv[1],'a').write('x'); time.sleep(.05); print('sk-cmd')"
    settings = provider(secrets=(python(code, str(log)),))
    credentials = Credentials({})
    assert credentials.available(settings)
    got = await asyncio.gather(*(credentials.get(settings) for _ in range(10)))
    assert set(got) == {"sk-cmd"}
    assert await credentials.get(settings) == "sk-cmd"
    assert log.read_text() == "x"
    forgetful = Credentials({}, command_ttl=0)
    for _ in range(2):
        await forgetful.get(settings)
    assert log.read_text() == "xxx"


async def test_waiter_that_leaves_does_not_take_the_program_along(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """Cancelling one call that waits for a program leaves the others theirs."""
    mark = tmp_path / "go"
    code = (
        "import os,sys,time\nwhile not os.path.exists(sys.argv[1]): time.sleep(.01)\nprint('sk-1')"
    )
    settings = provider(secrets=(python(code, str(mark)),))
    credentials = Credentials({})
    first, second = (asyncio.ensure_future(credentials.get(settings)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    mark.touch()
    assert await second == "sk-1"
    assert first.cancelled()


async def test_failing_program_tells_every_waiter_and_may_try_again(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """A failure reaches all who wait and is not kept: the next call runs the program again."""
    mark = tmp_path / "unlocked"
    code = "import os,sys; print('sk-1'); sys.exit(not os.path.exists(sys.argv[1]))"
    settings = provider(secrets=(python(code, str(mark)),))
    credentials = Credentials({})
    got = await asyncio.gather(
        *(credentials.get(settings) for _ in range(3)), return_exceptions=True
    )
    assert [type(error) for error in got] == [UpstreamFailed] * 3
    assert "exit status 1" in str(got[0])
    assert "sk-1" not in str(got[0])
    mark.touch()
    assert await credentials.get(settings) == "sk-1"


async def test_program_that_hangs_is_ended_with_its_children(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """After its time a program is killed, and so is what it started."""
    note = tmp_path / "child"
    code = (
        "import subprocess,sys\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "child.wait()"
    )
    credentials = Credentials({}, command_timeout=1.0)
    message = await refusal(credentials, provider, python(code, str(note)))
    assert "took longer than 1 s" in message
    child = Path(f"/proc/{note.read_text()}/stat")
    await until(lambda: not child.exists() or " Z " in child.read_text())


async def test_what_a_program_leaves_running_is_not_waited_for(
    provider: MakeProvider, tmp_path: Path
) -> None:
    """Some start an agent that keeps their output open: it goes on, and the key is there."""
    note = tmp_path / "child"
    code = (
        "import subprocess,sys\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "print('sk-1')"
    )
    credentials = Credentials({})
    try:
        assert await credentials.get(provider(secrets=(python(code, str(note)),))) == "sk-1"
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)  # which fails where it was ended


async def test_closing_ends_programs_under_way(provider: MakeProvider) -> None:
    """Shutting down does not wait for a program, and leaves none behind."""
    credentials = Credentials({})
    settings = provider(secrets=(python("import time; time.sleep(600)"),))
    waiting = asyncio.ensure_future(credentials.get(settings))
    await asyncio.sleep(0.05)
    await credentials.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert credentials._running == {}


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        (FromEnv(name="UNSET"), "the variable UNSET is not set"),
        (FromEnv(name="SPLIT"), "the variable SPLIT holds a line break"),
        (FromEnv(name="ACCENT"), "the variable ACCENT holds a line break or another character"),
        (Plain(value="sk-s3cret\r\nx: y"), "the key in the config holds a line break"),
        (FromCommand(argv=("/no/such/program",)), "/no/such/program cannot be run: No such file"),
        (python("pass"), "printed nothing"),
        (python("print('sk-s3cret\\nsecond')"), "holds a line break"),
        (python("print('sk-s3cret'); raise SystemExit(3)"), "failed with exit status 3"),
        (python("print('\\xe9 s3cret')"), "characters that cannot stand in a header"),
        (python("while True: print('s3cret' * 30000)"), "more than 16384 bytes"),
    ],
)
async def test_unusable_credential_is_explained_without_being_shown(
    provider: MakeProvider, secret: Secret, told: str
) -> None:
    """The message says where it was looked for and what is wrong, never what was found."""
    environ = {"SPLIT": "sk-s3cret\nx-evil: 1", "ACCENT": "s3crét"}
    message = await refusal(Credentials(environ), provider, secret)
    assert message.startswith("no credential for local: ")
    assert told in message
    assert "s3cret" not in message.replace(sys.executable, "")


@pytest.mark.parametrize(
    ("globs", "agent", "served"),
    [
        ((), "anything", True),
        (("claude-cli/*",), "claude-cli/2.1.197 (external)", True),
        (("claude-cli/*",), "Claude-CLI/2", True),
        (("claude-cli/*",), "curl/8", False),
        (("claude-cli/*",), "", False),
        (("a*", "curl/*"), "curl/8", True),
    ],
)
def test_clients_globs_name_the_agents_that_are_served(
    provider: MakeProvider,
    globs: tuple[str, ...],
    agent: str,
    served: bool,
) -> None:
    """Without globs everyone is served; with them, agents that match one."""
    assert serves(provider(clients=globs), agent) is served
