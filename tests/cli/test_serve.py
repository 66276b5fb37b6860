"""`slipway serve`: flags over the environment, and what it says of bad ones."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway import __version__
from slipway.cli import main
from slipway.commands.parser import Parser
from slipway.commands.serve import add_serve, settings_of
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
