"""The engines' environments under Slipway's home: each made once from its lock, verified, held while it is used.

An environment is made beside its place and renamed into it, with its record written last: what is there is whole.
"""

import contextlib
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.errors import Cancelled, Conflict, NotFound
from slipway.runtime.locks import LOCKS, Lock, read_lock
from slipway.types import Environment

Tell = Callable[[str], None]

RECORD = "ready.json"
MAKING = ".making-"
_REMOVING = ".removing-"
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an environment that was made: written last, so that having it means being whole."""

    lock: str
    lock_sha256: str
    python: str
    versions: dict[str, str]  # of the modules that were imported to see that it works
    packages: int
    bytes: int
    seconds: float
    made_at: float  # seconds since the epoch
    uv: str


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment on the disk; without a record it is not fit for use."""

    name: str
    path: Path
    record: Record | None

    @property
    def python(self) -> Path:
        return interpreter(self.path)


@dataclass(slots=True)
class Held:
    """An interpreter to start an engine with. Until ``close``, its environment cannot be removed."""

    python: Path
    descriptor: int | None = None

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class _MadeMeanwhile(Exception):
    """Another has made the environment while we waited to make it."""


Build = Callable[["Making"], Record]


@dataclass(frozen=True, slots=True)
class Making:
    """An environment to be made at ``path``. ``lock_descriptor`` is to be kept open by whatever works on it."""

    environment: Environment
    lock: Lock
    path: Path
    lock_descriptor: int
    tell: Tell
    cancel: threading.Event


class Environments:
    """The environments below ``root``. ``build`` fills an empty place: `environment_build.build` is the real one."""

    def __init__(self, root: Path, build: Build, locks: Path = LOCKS) -> None:
        self._root = root
        self._build = build
        self._locks = locks

    def find(self, environment: Environment) -> Installed | None:
        """The environment if it is here and whole: its lock is today's and its interpreter is there."""
        lock = read_lock(environment, self._locks)
        here = self._installed(self._root / lock.name)
        whole = here.record is not None and here.record.lock_sha256 == lock.sha256 and os.access(here.python, os.X_OK)
        return here if whole else None

    def hold(self, environment: Environment, tell: Tell, cancel: threading.Event) -> Held:
        """The environment's interpreter, made first if it is not here. Blocks for minutes: run it in a thread.

        Of two who ask at once, one makes it and the other waits. ``tell`` hears what is done, and nothing where all is
        here already. Raises EnvironmentFailed, DiskFull, Cancelled.
        """
        name = read_lock(environment, self._locks).name
        while True:
            held = self._open(name, fcntl.LOCK_SH, lambda: _wait(name, tell, cancel))
            if (here := self.find(environment)) is not None:
                return Held(here.python, held)
            os.close(held)
            self._make(environment, tell, cancel)

    def installed(self) -> tuple[Installed, ...]:
        """All that is here, by name; not what is being made."""
        try:
            names = sorted(path.name for path in self._root.iterdir() if path.is_dir())
        except OSError:
            return ()
        return tuple(self._installed(self._root / name) for name in names if not name.startswith("."))

    def is_current(self, installed: Installed, environment: Environment) -> bool:
        return installed.name == read_lock(environment, self._locks).name

    def remove(self, name: str) -> int:
        """Delete one environment; the bytes freed. Raises NotFound, or Conflict while an engine uses it."""
        place = self._root / name
        if not place.is_dir() or Path(name).name != name or name.startswith("."):
            raise NotFound(f"no environment is named {name!r}: `slipway engine list` shows what is here")
        with self._exclusive(name, _refuse):
            freed = tree_bytes(place)
            self._discard(place)
            (self._root / f".{name}.lock").unlink(missing_ok=True)
        return freed

    def _make(self, environment: Environment, tell: Tell, cancel: threading.Event) -> None:
        lock = read_lock(environment, self._locks)
        place = self._root / lock.name

        def wait(name: str) -> None:
            if self.find(environment) is not None:  # whoever made it uses it by now, and keeps its lock
                raise _MadeMeanwhile
            _wait(name, tell, cancel)

        with contextlib.suppress(_MadeMeanwhile), self._exclusive(lock.name, wait) as descriptor:
            if self.find(environment) is not None:  # made by another while we waited
                return
            for leftover in self._root.glob(f".*-{lock.name}"):  # whoever made or removed it is dead: we have its lock
                shutil.rmtree(leftover, ignore_errors=True)
            making = self._root / f"{MAKING}{lock.name}"
            try:
                record = self._build(Making(environment, lock, making, descriptor, tell, cancel))
                (making / RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
                if place.exists():  # there, and not fit for use
                    self._discard(place)
                making.rename(place)
            finally:
                shutil.rmtree(making, ignore_errors=True)

    def _discard(self, place: Path) -> None:
        """Out of sight in one step, so that nobody sees a half of it, and then gone."""
        aside = self._root / f"{_REMOVING}{place.name}"
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _installed(self, path: Path) -> Installed:
        try:
            read = json.loads((path / RECORD).read_text(encoding="utf-8"))
            record = Record(**read)
        except (OSError, ValueError, TypeError):
            record = None
        return Installed(path.name, path, record)

    @contextlib.contextmanager
    def _exclusive(self, name: str, wait: Callable[[str], None]) -> Iterator[int]:
        descriptor = self._open(name, fcntl.LOCK_EX, lambda: wait(name))
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, name: str, kind: int, wait: Callable[[], None]) -> int:
        """A descriptor with the environment's lock; ``wait`` is called while others have it, and may raise."""
        self._root.mkdir(parents=True, exist_ok=True)
        path = self._root / f".{name}.lock"
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                if _same_file(descriptor, path):  # else it was removed with its environment meanwhile
                    return descriptor
                os.close(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                wait()
            except BaseException:
                os.close(descriptor)
                raise


def interpreter(path: Path) -> Path:
    """Where an environment's Python is."""
    return path / "bin" / "python"


def tree_bytes(path: Path) -> int:
    """The bytes of all files below, each counted once."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                seen = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - tens of thousands of files: Path is slow
                sizes[seen.st_dev, seen.st_ino] = seen.st_size
    return sum(sizes.values())


def _wait(name: str, tell: Tell, cancel: threading.Event) -> None:
    tell(f"waiting: another launch makes {name}")
    if cancel.wait(_POLL_S):
        raise Cancelled(f"the launch was cancelled while another one made {name}")


def _refuse(name: str) -> None:
    raise Conflict(f"{name} is in use: terminate the models that run in it, or wait until it is made, then remove it")


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
