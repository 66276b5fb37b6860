"""What lies in the cache: every fetch with its size and whether it is whole, and their removal."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Conflict
from slipway.hubs.cache import CHECKPOINT, OWN, files_in, locks, partials, read_record, size_of, stored_files
from slipway.types import Hub


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
def _exclusive(own: Path, repository: str) -> Iterator[None]:
    with (own / "lock").open("w") as file:
        if not locks(file.fileno()):
            raise Conflict(f"{repository} is being fetched now: terminate its launch first, then remove it")
        yield


def _found(models_dir: Path) -> Iterator[tuple[CachedModel, Path]]:
    """Each fetch with its manifest, or its pending mark where it has not ended. Links to elsewhere are passed over."""
    for record in sorted(models_dir.glob(f"*/*/*/{OWN}/*")):
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
    read = read_record(record)
    hub = read.get("hub")
    if hub not in list(Hub) or not isinstance(read.get("repository"), str):
        return None
    files = files_in(read)
    sizes = [size_of(root / file.name) for file in files]
    partial = sum(size_of(path) or 0 for path in partials(record)) if not ended else 0
    made = sum(size_of(path) or 0 for path in _made(record))
    target = None if record.stem == CHECKPOINT or not files else files[0].name
    return CachedModel(
        hub=Hub(hub),
        repository=read["repository"],
        revision=str(read.get("revision")),
        files=tuple(file.name for file in files),
        bytes=sum(size or 0 for size in sizes) + partial + made,
        complete=ended and all(size == file.size for size, file in zip(sizes, files, strict=True)),
        path=root / target if target else root,
    )


def _remove(models_dir: Path, model: CachedModel, record: Path) -> int:
    own, root = record.parent, record.parent.parent
    others = [path for path in (*own.glob("*.json"), *own.glob("*.pending")) if path.stem != record.stem]
    kept = {file.name for other in others for file in stored_files(other)}
    doomed = [root / name for name in model.files if name not in kept]
    doomed += [*partials(record), *_made(record), record, record.with_suffix(".pending"), record.with_suffix(".made")]
    freed = 0
    for path in doomed:
        if path.parent.resolve().is_relative_to(models_dir.resolve()):
            freed += 0 if path.is_symlink() else size_of(path) or 0
            path.unlink(missing_ok=True)
    return freed


def _prune(own: Path, models_dir: Path) -> None:
    """Remove the directories that hold nothing any more, up to the models' own."""
    if not any(path.suffix in {".json", ".pending", ".partial"} for path in own.iterdir()):
        for look in own.iterdir():
            if look.is_dir() and not look.is_symlink():
                shutil.rmtree(look, ignore_errors=True)
        (own / "lock").unlink(missing_ok=True)
    folders = [path for path in own.parent.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in (*sorted(folders, reverse=True), *own.parents[:3]):
        if folder != models_dir and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _made(record: Path) -> list[Path]:
    """What was made of the files of a fetch: a ggmlv3 file's conversion."""
    return [record.parent.parent / file.name for file in stored_files(record.with_suffix(".made"))]
