"""The server of one chat: it comes up with a key of its own, and is gone afterwards however the chat ended."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.cli import main
from slipway.commands import own_server
from slipway.commands.own_server import own_server as open_server
from slipway.commands.own_server import serve_argv
from slipway.errors import SlipwayError, Unauthorized
from slipway.settings import Settings
from tests.cli.process import gone


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return Settings(tmp_path)


def fake(pid_file: Path, *flags: str) -> Callable[[int], list[str]]:
    return lambda port: [sys.executable, "-m", "tests.cli.fake_server", str(port), str(pid_file), *flags]


def test_it_comes_up_and_goes(settings: Settings, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with open_server(settings, fake(pid_file)) as client:
        assert client.models()[0].uid == "pilot"
        with pytest.raises(Unauthorized):
            type(client)(client.endpoint).models()
        pid = int(pid_file.read_text())
    assert gone(pid)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ValueError("x"), SystemExit(143)])
def test_it_goes_however_the_chat_ends(end: BaseException, settings: Settings, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(type(end)), open_server(settings, fake(pid_file)):
        raise end
    assert gone(int(pid_file.read_text()))


def test_one_that_does_not_listen_is_killed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_server, "_DOWN_S", 0.1)
    pid_file = tmp_path / "pid"
    with open_server(settings, fake(pid_file, "--stubborn")):
        pass
    assert gone(int(pid_file.read_text()))


def test_one_that_does_not_start_tells_why(settings: Settings, tmp_path: Path) -> None:
    (settings.logs).mkdir()
    (settings.logs / "chat-server.log").write_text("an older line\n")
    with pytest.raises(SlipwayError) as caught, open_server(settings, fake(tmp_path / "pid", "--broken")):
        pass
    told = caught.value.message
    assert told.startswith("the server of this chat ended with exit code 1:")
    assert "  | the catalogue cannot be read" in told
    assert "an older line" not in told


@pytest.mark.parametrize("home", ["/proc/nope", "/dev/null"])
def test_a_home_that_cannot_be_used_is_a_sentence(
    home: str, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", home)
    monkeypatch.setenv("SLIPWAY_PORT", str(free_port))
    assert main(["chat", "--prompt", "hi"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"slipway: the home directory {home} cannot be used (")
    assert "SLIPWAY_HOME" in told


def test_it_listens_to_this_machine_alone_and_ends_with_its_parent() -> None:
    argv = serve_argv(8123)
    assert argv[:3] == [sys.executable, "-m", "slipway"]
    assert argv[3:] == ["serve", "--host", "127.0.0.1", "--port", "8123", "--stop-on-eof"]
