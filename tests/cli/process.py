"""The command line as a process of its own: its output as it comes, signals, and an end waited for with a bound."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOUND_S = 15.0
_SCRIPT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from slipway.cli import main; sys.exit(main(sys.argv[1:]))"
)


class Process:
    """A running command. ``terminal``: the other end of its terminal, where it has one."""

    def __init__(self, child: "subprocess.Popen[bytes]", output: int, terminal: int | None) -> None:
        self._child = child
        self._terminal = terminal
        self._text = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(output,))
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def text(self) -> str:
        with self._news:
            return self._text

    def wait_for(self, text: str, times: int = 1) -> None:
        """Until it has said ``text``, so many times."""
        with self._news:
            assert self._news.wait_for(lambda: self._text.count(text) >= times, BOUND_S), self._text

    def type(self, text: str) -> None:
        assert self._terminal is not None
        os.write(self._terminal, text.encode())

    def interrupt(self) -> None:
        self._child.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        self._child.terminate()

    def ends_within(self, seconds: float) -> bool:
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> int:
        """Its exit code, once it has ended and all it said has been read."""
        code = self._child.wait(BOUND_S)
        self._reader.join(BOUND_S)
        return code

    def _read(self, output: int) -> None:
        while True:
            try:
                piece = os.read(output, 65536)
            except OSError:  # a terminal whose other end is closed
                piece = b""
            with self._news:
                self._text += piece.decode("utf-8", "replace")
                self._news.notify_all()
            if not piece:
                return


@contextmanager
def command(*argv: str, terminal: bool = False) -> Iterator[Process]:
    """Run the command line; it is killed if the test leaves it running. Its stdout and stderr come as one."""
    if terminal:
        output, inside = pty.openpty()
        stdin = inside
    else:
        output, inside = os.pipe()
        stdin = subprocess.DEVNULL
    child = subprocess.Popen([sys.executable, "-c", _SCRIPT, *argv], stdin=stdin, stdout=inside, stderr=inside)
    os.close(inside)
    running = Process(child, output, output if terminal else None)
    try:
        yield running
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        running.end()
        os.close(output)


def gone(pid: int) -> bool:
    """Whether a process ends within the bound."""

    def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    return until(ended)


def until(true: Callable[[], bool]) -> bool:
    """Whether something holds within the bound."""
    deadline_s = time.monotonic() + BOUND_S
    while time.monotonic() < deadline_s:
        if true():
            return True
        time.sleep(0.01)
    return False
