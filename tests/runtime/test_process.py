"""Engine processes: their log, their secret, their end, and nothing left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from slipway.runtime.ports import free_port
from slipway.runtime.process import EngineProcess
from slipway.types import Launch

BOUND_S = 10


def launch(script: str, **env: str) -> Launch:
    return Launch(("{python}", "-c", script, "{port}"), env, "SLIPWAY_ENGINE_SECRET", "/v1/models", 5)


async def until_logged(process: EngineProcess, word: str) -> str:
    async with asyncio.timeout(BOUND_S):
        while word not in (text := process.log_path.read_text()):
            await asyncio.sleep(0.01)
    return text


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(BOUND_S):
        while alive(pid):
            await asyncio.sleep(0.01)


async def test_the_engine_gets_its_port_and_secret_but_none_of_our_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_API_KEYS", "ours")
    monkeypatch.setenv("HF_TOKEN", "hub")
    script = (
        "import os,sys; print(sys.argv[1:], dict(os.environ), flush=True); print('end', file=sys.stderr, flush=True)"
    )
    process = await EngineProcess.start(launch(script, OWN="{port}"), tmp_path / "logs" / "a.log", free_port())
    await process.wait()
    text = await until_logged(process, "end")
    assert f"['{process.port}']" in text
    assert f"'OWN': '{process.port}'" in text
    assert f"'SLIPWAY_ENGINE_SECRET': '{process.secret}'" in text
    assert "SLIPWAY_API_KEYS" not in text
    assert "HF_TOKEN" not in text
    assert process.secret not in repr(process)
    assert (process.log_path.stat().st_mode & 0o777) == 0o600
    await process.stop(1)


async def test_stop_asks_first(tmp_path: Path) -> None:
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    process = await EngineProcess.start(launch(script), tmp_path / "a.log", free_port())
    await until_logged(process, "up")
    assert await process.stop(BOUND_S) == 7


async def test_stop_kills_what_does_not_listen_and_what_it_started(tmp_path: Path) -> None:
    script = (
        "import os,signal,subprocess,sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', child.pid, 'up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    process = await EngineProcess.start(launch(script), tmp_path / "a.log", free_port())
    child = int((await until_logged(process, "up")).split()[1])
    assert alive(child)
    assert await process.stop(0.1) == -9
    await until_gone(child)


async def test_an_engine_of_ours_ends_when_its_launcher_is_gone(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LAUNCHER, str(log), stdout=asyncio.subprocess.PIPE, env={**os.environ}
    )
    assert launcher.stdout is not None
    engine = int(await launcher.stdout.readline())
    assert alive(engine)
    launcher.kill()
    await launcher.wait()
    await until_gone(engine)


_LAUNCHER = """
import asyncio, sys, pathlib
from slipway.runtime.process import EngineProcess
from slipway.types import Launch
engine = "import os; from slipway.engines.llama_cpp_server import _end_with_launcher; _end_with_launcher()"
async def main():
    launch = Launch(("{python}", "-c", engine), {}, "S", "/", 5)
    process = await EngineProcess.start(launch, pathlib.Path(sys.argv[1]), 1)
    print(process.pid, flush=True)
    await process.wait()
asyncio.run(main())
"""


async def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-program"):
        await EngineProcess.start(Launch(("no-such-program",), {}, "S", "/", 5), tmp_path / "a.log", 1)


async def test_a_stopped_engine_ends_as_fast_as_any(tmp_path: Path) -> None:
    process = await EngineProcess.start(launch("print('up', flush=True); input()"), tmp_path / "a.log", free_port())
    await until_logged(process, "up")
    os.kill(process.pid, signal.SIGSTOP)
    assert await process.stop(BOUND_S) == -signal.SIGTERM


def test_free_ports_can_be_bound() -> None:
    assert 1024 <= free_port() < 65536
