"""`slipway serve`: flags over the environment, and what it says of bad ones."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway import __version__
from slipway.cli import main
from slipway.client import Client
from slipway.commands.parser import Parser
from slipway.commands.serve import add_serve, settings_of
from slipway.errors import NotReady
from slipway.settings import Settings
from tests.cli.process import BOUND_S


def settings(*argv: str) -> Settings:
    parser = Parser("slipway serve", "")
    add_serve(parser)
    return settings_of(parser.read(argv))


def test_the_defaults(tmp_path: Path) -> None:
    assert settings() == Settings(tmp_path / "home", "127.0.0.1", 9997)


def test_flags_go_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "8000")
    monkeypatch.setenv("SLIPWAY_HOST", "::1")
    assert settings() == Settings(tmp_path / "home", "::1", 8000)
    given = settings("-H", "127.0.0.2", "-p", "8001", "--home", str(tmp_path), "--log-level", "DEBUG")
    assert given == Settings(tmp_path, "127.0.0.2", 8001)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--port", "0"], "'0' is not a port: give a number from 1 to 65535"),
        (["--port", "65536"], "'65536' is not a port"),
        (["--port", "http"], "'http' is not a port"),
        (["--log-level", "loud"], "invalid choice: 'loud'"),
        (["--prot", "1"], "unknown flag --prot: did you mean --port?"),
        (["pilot"], "unknown argument pilot"),
    ],
)
def test_bad_flags(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *argv]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "see `slipway serve --help`" in said


def test_a_bad_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "many")
    assert main(["serve"]) == 2
    assert "SLIPWAY_PORT is 'many'" in capsys.readouterr().err


def refused(home: str, port: int) -> str:
    """What a server says that does not start."""
    argv = [sys.executable, "-m", "slipway", "serve", "--port", str(port), "--home", home]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=BOUND_S)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize("home", ["/proc/nope", "/dev/null"])
def test_a_home_that_cannot_be_used(home: str, free_port: int) -> None:
    assert refused(home, free_port).startswith(f"slipway: the home directory {home} cannot be used (")


def test_a_home_whose_logs_cannot_be_written(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "logs").write_text("a file where a directory should be")
    assert "cannot be used" in refused(str(tmp_path), free_port)


LOGGING = """
import logging
from slipway.commands.serve import set_up_log
set_up_log({level!r})
logging.getLogger("slipway.control.controller").info("pilot: launch")
logging.getLogger("slipway.control.controller").debug("a detail")
for name in ("aiohttp.client", "uvicorn.error", "httpx", "asyncio"):
    logging.getLogger(name).info("noise")
from huggingface_hub import HfApi
HfApi()
logging.getLogger("huggingface_hub.utils").warning("noise")
"""


@pytest.mark.parametrize(
    ("level", "lines"), [("info", ["pilot: launch"]), ("debug", ["pilot: launch", "a detail"]), ("warning", [])]
)
def test_the_log_is_slipway_s_own_with_the_time(level: str, lines: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING.format(level=level)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert [line.rpartition("slipway.control.controller: ")[2] for line in said] == lines
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|DEBUG) ", line) for line in said)


@contextmanager
def server(port: int, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """A real server that is ready; killed if the test leaves it running."""
    argv = [sys.executable, "-m", "slipway", "serve", "--port", str(port), *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == f"Slipway {__version__} is ready at http://127.0.0.1:{port}\n"
            yield child
        finally:
            child.kill()


def test_a_server_answers_and_ends_at_sigterm(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with server(free_port) as child:
        assert main(["list", "-e", f"127.0.0.1:{free_port}"]) == 0
        assert "no model is launched" in capsys.readouterr().out
        assert main(["terminate", "pilot", "-e", f"127.0.0.1:{free_port}"]) == 1
        child.terminate()
        assert child.communicate(timeout=BOUND_S)[0] == ""
        assert child.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("waits", [False, True])
def test_a_hub_that_hangs_does_not_hold_up_the_end(
    number: signal.Signals, waits: bool, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.getsockname()[1]}")
        with server(free_port) as child, ThreadPoolExecutor() as threads:
            client = Client(f"127.0.0.1:{free_port}")
            body = {"model_name": "qwen1.5-chat", "model_size_in_billions": "0_5", "model_format": "ggufv2"}
            if waits:
                path = "/v1/models"
                asked = threads.submit(client.complete, path, body)
            else:
                asked = threads.submit(lambda: {"uid": client.launch(body)})
            hub.settimeout(BOUND_S)
            held, _ = hub.accept()  # asked for its files, it never answers
            began_s = time.monotonic()
            child.send_signal(number)
            child.communicate(timeout=BOUND_S)
            took_s = time.monotonic() - began_s
            held.close()
            assert child.returncode == 0
            assert took_s < 4  # the hub's client gives up after 10
            if waits:
                with pytest.raises(NotReady, match="the server is stopping"):
                    asked.result()


def test_a_chat_s_server_ends_when_its_stdin_does(free_port: int) -> None:
    with server(free_port, "--stop-on-eof") as child:
        assert child.communicate(timeout=BOUND_S)[0] == ""
        assert child.returncode == 0


def test_a_chat_s_server_ends_at_sigterm_while_its_stdin_is_open(free_port: int) -> None:
    with server(free_port, "--stop-on-eof") as child:
        child.terminate()
        assert child.wait(BOUND_S) == 0
        assert child.stdout is not None
        assert child.stdout.read() == ""


def test_a_taken_port_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "slipway", "serve", "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"slipway: port {port} of 127.0.0.1 is taken")
    assert done.stderr.count("\n") == 1
