"""Waiting for a launch to end: polls the server, shows the phases, and turns Ctrl-C into a question, then a cancel."""

import signal
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Protocol, Self

from slipway.client import RemoteModel
from slipway.deployment import Phase
from slipway.errors import Cancelled, EngineFailed, FetchFailed, NotFound, SlipwayError

QUESTION = "Cancel the launch? Press Ctrl-C again to cancel it, or wait."
_EAGER_S = 2.0  # small models are ready within it: poll often
_POLL_S = (0.04, 0.25)
_TAIL_LINES = 15


class Launches(Protocol):
    """What waiting needs of a client."""

    def model(self, uid: str) -> RemoteModel: ...
    def terminate(self, uid: str) -> None: ...


class Screen(Protocol):
    """What waiting needs of a display."""

    def show(self, model: RemoteModel, now_s: float) -> None: ...
    def say(self, text: str) -> None: ...
    def clear(self) -> None: ...


class Interrupts:
    """Counts presses of Ctrl-C while it is entered; the third raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt


def wait_ready(client: Launches, uid: str, screen: Screen, interrupts: Interrupts) -> RemoteModel:
    """Return the model once it is ready. Raises EngineFailed, FetchFailed, Cancelled, or what the client raises."""
    began_s, asked, phase = time.monotonic(), False, Phase.PENDING
    try:
        while True:
            model = _seen(client, uid)
            if model.phase is Phase.READY:
                return model
            if model.phase is Phase.FAILED:
                raise failure_of(model, fetching=phase is Phase.FETCHING)
            phase, now_s = model.phase, time.monotonic()
            screen.show(model, now_s)
            if interrupts.count and not asked:
                asked = True
                screen.say(QUESTION)
            if interrupts.count > 1:
                _cancel(client, uid, screen)
            time.sleep(_POLL_S[now_s - began_s > _EAGER_S])
    finally:
        screen.clear()


def failure_of(model: RemoteModel, *, fetching: bool = False) -> SlipwayError:
    """The error of a failed model: the cause, the last lines of its log, and where the rest is."""
    lines = [f"{model.uid} failed: {model.cause or 'its engine ended and did not say why'}"]
    if model.log_tail:
        lines += ["the last lines of its log:", *(f"  | {line}" for line in model.log_tail[-_TAIL_LINES:])]
        lines.append(f"the whole log: `slipway logs {model.uid}`")
    return (FetchFailed if fetching else EngineFailed)("\n".join(lines))


def _seen(client: Launches, uid: str) -> RemoteModel:
    try:
        return client.model(uid)
    except NotFound:
        raise NotFound(f"{uid} is gone from the server: it was terminated while it was launching") from None


def _cancel(client: Launches, uid: str, screen: Screen) -> None:
    screen.say("Cancelling…")
    with suppress(NotFound):  # it ended by itself meanwhile
        client.terminate(uid)
    raise Cancelled(f"the launch of {uid} is cancelled")
