"""Ctrl-C while a launch is under way: counted and answered at once, never raised, so that no request is cut in two.

Requests are made on threads of their own and the main thread only waits: a press is heard whatever the server does.
"""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

QUESTION = "Cancel the launch? Press Ctrl-C again to cancel it, or wait."
CANCEL, FORCE = 2, 3  # what the second and the third press mean
_FOREVER_S = 365 * 86400.0
_TICK_S = 0.1  # within it a press is heard that woke another thread


class Interrupts:
    """Counts presses of Ctrl-C while it is entered; the first asks whether to cancel. ``say`` tells the user."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self.say = say
        self._asked = False
        self._woken: SimpleQueue[None] = SimpleQueue()  # its put() may be called in a signal handler

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._pressed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def begin(self, call: Callable[[], T]) -> Future[T]:
        """Make a call on a thread of its own, which does not keep the process from ending."""
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(call())
            except BaseException as error:  # handed to who asks for the outcome
                outcome.set_exception(error)

        outcome.add_done_callback(lambda _: self._woken.put(None))
        threading.Thread(target=work, daemon=True).start()
        return outcome

    def wait(self, call: Future[Any] | None = None, *, presses: int | None = None, seconds: float = _FOREVER_S) -> bool:
        """True once the call has its outcome; False when Ctrl-C was pressed so many times or the time is over."""
        deadline_s = time.monotonic() + seconds
        while call is None or not call.done():
            self._ask_once()
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or (presses is not None and self.count >= presses):
                return False
            with suppress(Empty):
                self._woken.get(timeout=min(left_s, _TICK_S))
        return True

    def _ask_once(self) -> None:
        if self.count and not self._asked:
            self._asked = True
            self.say(QUESTION)

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self._woken.put(None)
