"""`slipway chat` with no server: one is brought up with the real pilot, and nothing is left, however the chat ends."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.process import command, gone

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def no_server_at_the_default_address(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", str(free_port))


def descendants(pid: int) -> list[int]:
    """The processes below one, at any depth."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                after_name = (entry / "stat").read_text().rpartition(")")[2]
                parents[int(entry.name)] = int(after_name.split()[1])
    below = [child for child, parent in parents.items() if parent == pid]
    return below + [deeper for child in below for deeper in descendants(child)]


def test_an_answer_and_a_talk_with_history() -> None:
    with command("chat", "--temperature", "0", terminal=True) as chat:
        chat.wait_for("> ")
        started = descendants(chat.pid)
        chat.type("My name is Anna.\n")
        chat.wait_for("> ", times=2)
        chat.type("What is my name?\n")
        chat.wait_for("> ", times=3)
        assert "Anna" in chat.text.rpartition("What is my name?")[2]
        chat.type("/exit\n")
        assert chat.end() == 0
    assert all(gone(pid) for pid in started)


def test_one_question() -> None:
    with command("chat", "--prompt", "What is 2 + 3?", "--temperature", "0") as chat:
        assert chat.end() == 0, chat.text
        assert "5" in chat.text.splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
def test_nothing_is_left_after_a_signal(number: signal.Signals, code: int) -> None:
    with command("chat", terminal=True) as chat:
        chat.wait_for("> ")
        started = descendants(chat.pid)
        assert len(started) >= 2  # its server, and the engine
        os.kill(chat.pid, number)
        assert chat.end() == code
        assert "Traceback" not in chat.text
    assert all(gone(pid) for pid in started)
