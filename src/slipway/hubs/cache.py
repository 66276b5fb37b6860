"""The fetched models on this disk: where each has its place, which are whole, how they are removed.

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

from slipway.errors import BadRequest, Conflict
from slipway.formats.safetensors import plain_name
from slipway.types import Hub, Location

_OWN = ".slipway"
_CHECKPOINT = "checkpoint"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it lies in the cache; ``name`` is relative to the model's directory."""

    name: str
    size: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class CachedModel:
    """One fetch. ``path`` is what an engine is given; ``bytes`` what lies on the disk, partial files included."""

    hub: Hub
    repository: str
    revision: str
    files: tuple[str, ...]
    bytes: int
    complete: bool
    path: Path


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
        return self.target.replace("/", "--") if self.target else _CHECKPOINT

    @property
    def own(self) -> Path:
        return self.root / _OWN

    @property
    def manifest(self) -> Path:
        return self.own / f"{self.key}.json"

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
    return _files(_read(record))


def is_complete(slot: Slot) -> bool:
    """Whether a fetch ended, and its files are still there at their sizes. Reads no weights, asks no hub."""
    files = stored_files(slot.manifest)
    return bool(files) and all(_size(slot.root / file.name) == file.size for file in files)


def cached(models_dir: Path) -> tuple[CachedModel, ...]:
    """All fetches under ``models_dir``, begun or ended, by hub and name."""
    return tuple(model for model, _ in _found(models_dir))


def remove(models_dir: Path, wanted: Callable[[CachedModel], bool]) -> int:
    """Delete the fetches ``wanted`` names and return the bytes freed. Links are removed, never followed.

    Raises Conflict if one of them is being fetched now.
    """
    freed = 0
    for model, record in list(_found(models_dir)):
        if wanted(model):
            with _exclusive(record.parent, model.repository):
                freed += _remove(models_dir, model, record)
            _prune(record.parent, models_dir)
    return freed


@contextmanager
def locked(slot: Slot, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the directory's lock; ``wait`` is called while another process or thread has it, and may raise."""
    slot.own.mkdir(parents=True, exist_ok=True)
    with (slot.own / "lock").open("w") as file:
        while not _locks(file.fileno()):
            wait()
        yield


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _exclusive(own: Path, repository: str) -> Iterator[None]:
    with (own / "lock").open("w") as file:
        if not _locks(file.fileno()):
            raise Conflict(f"{repository} is being fetched now: terminate its launch first, then remove it")
        yield


def _found(models_dir: Path) -> Iterator[tuple[CachedModel, Path]]:
    """Each fetch with its manifest, or its pending mark where it has not ended. Links to elsewhere are passed over."""
    for record in sorted(models_dir.glob(f"*/*/*/{_OWN}/*")):
        root = record.parent.parent
        ended = record.suffix == ".json"
        if any(path.is_symlink() for path in (record, *record.parents[:4])):
            continue
        if not ended and (record.suffix != ".pending" or record.with_suffix(".json").exists()):
            continue
        model = _model(root, record, ended)
        if model is not None:
            yield model, record


def _model(root: Path, record: Path, ended: bool) -> CachedModel | None:
    read = _read(record)
    hub = read.get("hub")
    if hub not in list(Hub) or not isinstance(read.get("repository"), str):
        return None
    files = _files(read)
    sizes = [_size(root / file.name) for file in files]
    partial = sum(_size(path) or 0 for path in _partials(record)) if not ended else 0
    target = None if record.stem == _CHECKPOINT or not files else files[0].name
    return CachedModel(
        hub=Hub(hub),
        repository=read["repository"],
        revision=str(read.get("revision")),
        files=tuple(file.name for file in files),
        bytes=sum(size or 0 for size in sizes) + partial,
        complete=ended and all(size == file.size for size, file in zip(sizes, files, strict=True)),
        path=root / target if target else root,
    )


def _remove(models_dir: Path, model: CachedModel, record: Path) -> int:
    own, root = record.parent, record.parent.parent
    others = [path for path in (*own.glob("*.json"), *own.glob("*.pending")) if path.stem != record.stem]
    kept = {file.name for other in others for file in stored_files(other)}
    doomed = [root / name for name in model.files if name not in kept]
    doomed += [*_partials(record), record, record.with_suffix(".pending")]
    freed = 0
    for path in doomed:
        if path.parent.resolve().is_relative_to(models_dir.resolve()):
            freed += 0 if path.is_symlink() else _size(path) or 0
            path.unlink(missing_ok=True)
    return freed


def _prune(own: Path, models_dir: Path) -> None:
    """Remove the directories that hold nothing any more, up to the models' own."""
    if not any(path.name != "lock" for path in own.iterdir()):
        (own / "lock").unlink(missing_ok=True)
    folders = [path for path in own.parent.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in (*sorted(folders, reverse=True), *own.parents[:3]):
        if folder != models_dir and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _partials(record: Path) -> list[Path]:
    return list(record.parent.glob(f"{escape(record.stem)}.*.partial"))


def _read(record: Path) -> dict[str, Any]:
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _files(read: dict[str, Any]) -> tuple[StoredFile, ...]:
    entries = read.get("files")
    named = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    return tuple(
        StoredFile(each["name"], each["size"], each.get("digest"))
        for each in named
        if isinstance(each.get("name"), str) and plain_name(each["name"]) and type(each.get("size")) is int
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
