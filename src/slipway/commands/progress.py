"""What a launch says while it runs: pure functions from a model's state to a line, and the display that shows them."""

import os
import shutil
import sys
from typing import TextIO

from slipway.client import RemoteModel
from slipway.deployment import Phase
from slipway.types import in_gib


def phase_line(model: RemoteModel, elapsed_s: float) -> str:
    """One line for a model that is not ready yet. ``elapsed_s``: since the phase began."""
    if model.phase is Phase.FETCHING:
        return f"{model.uid}: fetching {_fetched(model)}, {duration(elapsed_s)}"
    doing = {
        Phase.INSTALLING: f"making {model.engine}'s environment: {model.installing or 'beginning'}",
        Phase.PENDING: "waiting for its turn",
        Phase.STARTING: f"starting {model.engine}".rstrip(),
        Phase.STOPPING: "stopping",
        Phase.READY: f"{model.ready_replicas} of {model.replicas} replicas ready" if model.replicas > 1 else "ready",
        Phase.FAILED: f"failed: {model.cause or 'no cause is known'}",
    }
    return f"{model.uid}: {doing[model.phase]}, {duration(elapsed_s)}"


def duration(seconds: float) -> str:
    """``0.6 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{whole} s"


def _fetched(model: RemoteModel) -> str:
    have, total, bytes_per_s = model.fetched_bytes or 0, model.total_bytes, model.bytes_per_s
    rate = f", {in_gib(round(bytes_per_s))}/s" if bytes_per_s else ""
    if not total:
        return in_gib(have) + rate if have else "what is missing"
    left = f", {duration((total - have) / bytes_per_s)} left" if bytes_per_s and have < total else ""
    return f"{in_gib(have)} of {in_gib(total)} ({100 * have // total}%){rate}{left}"


class StatusLine:
    """What one long piece of work does now, on stderr: in place on a terminal, otherwise a line for every change."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = ""
        self.shown = False

    def show(self, text: str, elapsed_s: float) -> None:
        self.shown = True
        if self._live:
            line = f"{text}, {duration(elapsed_s)}"
            self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        elif text != self._last:
            self._stream.write(f"{text}\n")
        self._last = text
        self._stream.flush()

    def clear(self) -> None:
        if self._live and self.shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class Display:
    """Shows a model's phases on stderr: in place on a terminal, otherwise a line when the phase changes."""

    def __init__(self, stream: TextIO | None = None, *, width: int | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._width = width
        self._phase: Phase | None = None
        self._since_s = 0.0

    def show(self, model: RemoteModel, now_s: float) -> None:
        """Bring the display up to date. ``now_s``: a monotonic clock."""
        changed = model.phase is not self._phase
        if changed:
            self._phase, self._since_s = model.phase, now_s
        if self._live:
            line = phase_line(model, now_s - self._since_s)
            self._write(f"\r\x1b[K{line[: self._columns() - 1]}")
        elif changed:
            self._write(phase_line(model, 0.0).removesuffix(", 0.0 s") + "\n")

    def say(self, text: str) -> None:
        """A line that stays, above the one in place."""
        self.clear()
        self._write(f"{text}\n")

    def clear(self) -> None:
        if self._live:
            self._write("\r\x1b[K")

    def _columns(self) -> int:
        if self._width is not None:
            return self._width
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
