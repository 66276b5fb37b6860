"""The fetched models on this disk: where each has its place, and which are whole. `inventory` lists and removes them.

A model lies at ``models/<hub>/<owner>--<name>/<revision>/``. Beside its files, ``.slipway/`` holds partial files and a
manifest for each fetch: ``<key>.json`` is written last, so what has none is never used; ``<key>.pending`` marks a
fetch that was begun. Several fetches (the quantizations of a GGUF repository) share one directory.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.errors import BadRequest
from slipway.formats.safetensors import plain_name
from slipway.types import Location

OWN = ".slipway"
CHECKPOINT = "checkpoint"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it lies in the cache; ``name`` is relative to the model's directory."""

    name: str
    size: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one fetch. ``target``: the file an engine is given, relative to ``root``; None for a checkpoint."""

    root: Path
    target: str | None

    @property
    def path(self) -> Path:
        return self.root / self.target if self.target else self.root

    @property
    def key(self) -> str:
        return self.target.replace("/", "--") if self.target else CHECKPOINT

    @property
    def own(self) -> Path:
        return self.root / OWN

    @property
    def manifest(self) -> Path:
        return self.own / f"{self.key}.json"

    @property
    def preview(self) -> Path:
        """A look at the repository without its weights: see `slipway.hubs.preview`."""
        return self.own / "preview"

    @property
    def made(self) -> Path:
        """Names the files made of the fetched ones, such as a conversion; they are removed with them."""
        return self.own / f"{self.key}.made"

    @property
    def pending(self) -> Path:
        return self.own / f"{self.key}.pending"


def slot_of(location: Location, models_dir: Path) -> Slot:
    """Where a location's files belong: at its own path if it has one, else in the layout above. Raises BadRequest."""
    repository, revision = location.repository, location.revision or "main"
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise BadRequest(f"{repository!r} is not the name of a repository: expected owner/name")
    if not plain_name(revision) or not all(plain_name(name) for name in location.files):
        raise BadRequest(f"{repository}: a revision or file name leads out of its directory; it is refused")
    target = _target(location)
    if location.path is not None:
        depth = len(PurePosixPath(target).parts) if target else 0
        return Slot(location.path.parents[depth - 1] if depth else location.path, target)
    return Slot(models_dir / location.hub / repository.replace("/", "--") / revision.replace("/", "--"), target)


def _target(location: Location) -> str | None:
    """The file to hand to an engine: the first, or the one its parts (x.gguf.a, x.gguf.b) are joined into."""
    if not location.files:
        return None
    first = PurePosixPath(location.files[0])
    if location.path is not None and location.path.name != first.name:
        return first.with_name(location.path.name).as_posix()
    stems = {PurePosixPath(name).with_suffix("").as_posix() for name in location.files}
    return stems.pop() if location.path is None and len(location.files) > 1 and len(stems) == 1 else first.as_posix()


def write_record(path: Path, location: Location, files: tuple[StoredFile, ...], commit: str | None) -> None:
    """Write a manifest, or a pending mark, whole or not at all."""
    record = {
        "hub": str(location.hub),
        "repository": location.repository,
        "revision": location.revision or "main",
        "commit": commit,
        "files": [asdict(file) for file in files],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    temporary.replace(path)


def stored_files(record: Path) -> tuple[StoredFile, ...]:
    """The files a manifest or a pending mark names; none if it cannot be read."""
    return files_in(read_record(record))


def is_complete(slot: Slot) -> bool:
    """Whether a fetch ended, and its files are still there at their sizes. Reads no weights, asks no hub."""
    return is_whole(slot.manifest)


def is_whole(manifest: Path) -> bool:
    """Whether the files of a manifest are all there, at their sizes and in the directory itself."""
    files = stored_files(manifest)
    return bool(files) and all(_own_size(manifest.parents[1], file.name) == file.size for file in files)


def is_cached(location: Location, models_dir: Path) -> bool:
    """Whether a location's files are here whole, so that no hub has to be asked."""
    return is_complete(slot_of(location, models_dir))


def begun(slot: Slot) -> tuple[int, int] | None:
    """Of a fetch under way, here or in another process: the bytes that are here, and the bytes in all."""
    files = stored_files(slot.pending)
    if not files:
        return None
    total = sum(file.size for file in files)
    held = sum(size_of(slot.root / file.name) or 0 for file in files)
    return min(total, held + sum(size_of(path) or 0 for path in partials(slot.pending))), total


def check_inside(slot: Slot, models_dir: Path) -> None:
    """Raise BadRequest if a link in the cache leads a fetch out of it. The models' directory itself may be one."""
    if not slot.root.resolve().is_relative_to(models_dir.resolve()):
        raise BadRequest(f"{slot.root} leads out of the cache by a link; remove the link and launch again")


@contextmanager
def locked(slot: Slot, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the directory's lock; ``wait`` is called while another process or thread has it, and may raise."""
    slot.own.mkdir(parents=True, exist_ok=True)
    with (slot.own / "lock").open("w") as file:
        while not locks(file.fileno()):
            wait()
        yield


def locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def partials(record: Path) -> list[Path]:
    return list(record.parent.glob(f"{escape(record.stem)}.*.partial"))


def read_record(record: Path) -> dict[str, Any]:
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def files_in(read: dict[str, Any]) -> tuple[StoredFile, ...]:
    entries = read.get("files")
    named = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    return tuple(
        StoredFile(each["name"], each["size"], each.get("digest"))
        for each in named
        if isinstance(each.get("name"), str) and plain_name(each["name"]) and type(each.get("size")) is int
    )


def _own_size(root: Path, name: str) -> int | None:
    """The size of a file that lies in ``root`` itself: what a link leads to is not ours and was never checked."""
    path = root / name
    return size_of(path) if path.resolve() == root.resolve() / name else None


def size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
