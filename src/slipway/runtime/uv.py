"""uv, run as a child: its lines are told as they come, it ends when it is told to, and its failure is in words."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipway.errors import Cancelled, DiskFull, EnvironmentFailed, SlipwayError
from slipway.runtime.pip_configuration import without_secrets
from slipway.types import in_gib

Tell = Callable[[str], None]

_KEPT_LINES = 200
_TOLD_LINES = 12
_TICK_S = 0.1
_GRACE_S = 3.0
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_ONE = re.compile(
    r"(Downloading|Downloaded|Building|Built|Fetched) (\S+?)(?:==\S+)?(?: @ \S+)?(?: \(([\d.]+)([KMG]?i?B)\))?$"
)


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: what with, where, and a descriptor it keeps open, by which a lock outlives this process."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: Path
    keeps: tuple[int, ...] = ()


def find_uv() -> str:
    """The path of uv's program, which comes with the package of that name. Raises EnvironmentFailed."""
    try:
        import uv  # lazy: a command that makes no environment needs none of it

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise EnvironmentFailed(
            "uv, which makes the engines' environments, is not installed: `pip install uv` puts it back"
        ) from None


def run(command: Command, doing: str, tell: Tell, cancel: threading.Event) -> tuple[str, ...]:
    """Run a program to its end and return its last lines. ``tell`` gets each line as it comes, on another thread.

    Raises Cancelled once ``cancel`` is set, EnvironmentFailed or DiskFull when it fails; nothing of it is left running.
    """
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    process = subprocess.Popen(
        command.argv,
        env=dict(command.env),
        cwd=command.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=command.keeps,
    )
    reader = threading.Thread(target=_read, args=(process, lines, tell), daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            if cancel.wait(_TICK_S):
                raise Cancelled(f"{doing} was cancelled")
    finally:
        _end(process)
        reader.join(_GRACE_S)
    if process.returncode != 0:
        raise failed(doing, process.returncode, tuple(lines))
    return tuple(lines)


def failed(doing: str, code: int, lines: Sequence[str]) -> SlipwayError:
    """The error of a program that failed, with its own last lines."""
    if any("No space left on device" in line or "os error 28" in line for line in lines):
        return DiskFull(f"{doing} failed: the disk is full; make room and launch again", code="disk_full")
    said = "\n".join(f"  | {line}" for line in lines[-_TOLD_LINES:]) or "  | (nothing)"
    return EnvironmentFailed(f"{doing} failed (exit code {code}); nothing of it is kept. Its last lines:\n{said}")


@dataclass(slots=True)
class Progress:
    """What uv's lines mean: a sentence for who waits."""

    packages: int
    _sizes: dict[str, int] = field(default_factory=dict)  # announced downloads, in bytes
    _left: dict[str, str] = field(default_factory=dict)  # what is under way: name -> "fetching", "building"
    _stage: str = ""

    def read(self, line: str) -> str:
        """The state after one more line: ``fetching torch, pyarrow: 61.0 MiB of 230.1 MiB``."""
        words = line.strip()
        if found := _ONE.fullmatch(words):
            self._one(*found.groups())
        elif words.startswith("Prepared"):
            self._left.clear()
            self._stage = f"unpacking {self.packages} packages"
        elif words.startswith("Installed"):
            self._stage = f"{self.packages} packages installed"
        return self._in_words()

    def _one(self, what: str, name: str, size: str | None, unit: str | None) -> None:
        if what in {"Downloaded", "Built", "Fetched"}:
            self._left.pop(name, None)
            return
        self._left[name] = "building" if what == "Building" else "fetching"
        if size is not None:
            self._sizes[name] = int(float(size) * _UNITS.get(unit or "B", 1))

    def _in_words(self) -> str:
        if self._stage:
            return self._stage
        if not self._left:
            return f"fetching {self.packages} packages"
        parts = []
        for doing in ("fetching", "building"):
            names = [name for name, what in self._left.items() if what == doing]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            parts += [f"{doing} {', '.join(names[:3])}{more}"] if names else []
        total = sum(self._sizes.values())
        had = total - sum(self._sizes.get(name, 0) for name in self._left)
        amount = f": {in_gib(had)} of {in_gib(total)}" if total else ""
        return "; ".join(parts) + amount


def _read(process: subprocess.Popen[str], lines: deque[str], tell: Tell) -> None:
    if process.stdout is None:
        return
    with process.stdout:
        for line in process.stdout:
            text = without_secrets(line.rstrip())
            if text:
                lines.append(text)
                tell(text)


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of its session running."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            _signal(process, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
    _signal(process, signal.SIGKILL)  # what it started and left behind


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
