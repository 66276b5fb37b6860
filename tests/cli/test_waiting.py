"""Waiting for a launch, with a client and a screen of the test's own: presses of Ctrl-C in any rhythm, replicas."""

import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from slipway.client import RemoteModel, remote_model
from slipway.commands import waiting
from slipway.commands.interrupts import QUESTION, Interrupts
from slipway.commands.waiting import settled, start, wait_ready
from slipway.errors import Cancelled
from tests.cli.stub import JsonObject, model


class Client:
    """Its model stands in the phase it is given; `terminate` may hang."""

    def __init__(self, *states: JsonObject, hangs: bool = False) -> None:
        self.states = list(states)
        self.ended: list[str] = []
        self._hangs = hangs
        self._closed = threading.Event()

    def launch(self, body: Mapping[str, Any]) -> str:
        return str(body["model_name"])

    def model(self, uid: str) -> RemoteModel:
        return remote_model(self.states.pop(0) if len(self.states) > 1 else self.states[0])

    def terminate(self, uid: str) -> None:
        self.ended.append(uid)
        if self._hangs:
            self._closed.wait(30)


class Screen:
    """Presses Ctrl-C when it shows something, so many times at once."""

    def __init__(self, presses: int = 0) -> None:
        self._presses = presses
        self.said: list[str] = []

    def show(self, model: RemoteModel, now_s: float) -> None:
        for _ in range(self._presses):
            signal.raise_signal(signal.SIGINT)
        self._presses = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def clear(self) -> None:
        pass


@pytest.mark.parametrize("presses", [2, 3, 4])
def test_presses_too_quick_for_the_question_cancel(presses: int) -> None:
    client, screen = Client(model(phase="fetching")), Screen(presses)
    with pytest.raises(Cancelled, match="the launch of pilot is cancelled"), Interrupts(screen.say) as interrupts:
        wait_ready(client, "pilot", screen, interrupts)
    assert client.ended == ["pilot"]
    assert screen.said == [QUESTION, "Cancelling…"]


def test_a_launch_of_somebody_else_is_left_alone() -> None:
    client, screen = Client(model(phase="fetching")), Screen(2)
    with pytest.raises(Cancelled, match="pilot was launched by another command"), Interrupts(screen.say) as interrupts:
        wait_ready(client, "pilot", screen, interrupts, owned=False)
    assert client.ended == []


def test_a_forced_end_is_bounded_and_tells_how_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_FORCED_S", 0.05)
    client, screen = Client(model(phase="fetching"), hangs=True), Screen(3)
    with pytest.raises(Cancelled, match="still ending it: `slipway list`"), Interrupts(screen.say) as interrupts:
        wait_ready(client, "pilot", screen, interrupts)
    assert client.ended == ["pilot"]


def test_a_press_between_two_polls_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_POLL_S", (30.0, 30.0))
    client, screen = Client(model(phase="fetching")), Screen()
    main = threading.main_thread().ident or 0
    presses = [threading.Timer(delay_s, signal.pthread_kill, (main, signal.SIGINT)) for delay_s in (0.05, 0.1)]
    began_s = time.monotonic()
    with pytest.raises(Cancelled), Interrupts(screen.say) as interrupts:
        for press in presses:
            press.start()
        wait_ready(client, "pilot", screen, interrupts)
    assert time.monotonic() - began_s < 10
    assert screen.said == [QUESTION, "Cancelling…"]


def test_what_a_request_raises_is_raised() -> None:
    with pytest.raises(KeyError), Interrupts(print) as interrupts:
        start(Client(model()), {}, interrupts)


def replicas(phase: str, *each: str) -> JsonObject:
    known = [{"replica": f"pilot-{n}", "phase": one, "cause": None} for n, one in enumerate(each)]
    return model(phase=phase, replica=2, replicas=known)


@pytest.mark.parametrize(
    ("state", "is_settled"),
    [
        (replicas("starting", "starting", "pending"), False),
        (replicas("ready", "ready"), False),  # the other has not begun
        (replicas("ready", "ready", "starting"), False),
        (replicas("ready", "ready", "failed"), True),
        (replicas("ready", "ready", "ready"), True),
        (replicas("failed", "failed", "failed"), False),
        (model(), True),
        (model(replicas=[]), True),
    ],
)
def test_settled(state: JsonObject, is_settled: bool) -> None:
    assert settled(remote_model(state)) is is_settled
