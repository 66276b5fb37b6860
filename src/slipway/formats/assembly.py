"""Makes one file out of pieces of others: streamed, written beside its place, flushed to the disk, checked, renamed.

So what stands in the file's place is always whole. What an interrupted run left is overwritten by the next one.
"""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from slipway.errors import BadModelFile, Cancelled, DiskFull, FetchFailed
from slipway.formats.magic import open_weights
from slipway.types import in_gib

Progress = Callable[[int, int | None], None]  # bytes written, bytes in all
Check = Callable[[Path], object]  # raises BadModelFile

_CHUNK = 4 * 1024**2
_REPORT_EVERY_S = 0.1
_SPARE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Piece:
    """``size`` bytes of a file from ``start`` on."""

    path: Path
    start: int
    size: int


Part = bytes | Piece


def whole(path: Path) -> Piece:
    """All of a file. Raises BadModelFile if it is not there."""
    with open_weights(path) as file:
        return Piece(path, 0, file.seek(0, 2))


def assemble(target: Path, parts: Sequence[Part], progress: Progress, cancel: threading.Event, check: Check) -> None:
    """Make ``target`` of ``parts``, in order. ``check`` is given the file before it gets its name.

    Raises BadModelFile (a piece that is cut short, or the check's), DiskFull, FetchFailed, Cancelled.
    """
    partial = target.with_name(f"{target.name}.partial")
    total = sum(part.size if isinstance(part, Piece) else len(part) for part in parts)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(target, total, partial)
        try:
            _write(partial, parts, total, progress, cancel)
            check(partial)
            partial.replace(target)
            _flush_directory(target.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _disk_error(target, error) from None


def _check_space(target: Path, total: int, partial: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if partial.is_file():  # what an earlier run left is overwritten
        free += partial.stat().st_size
    if total + _SPARE_BYTES > free:
        raise DiskFull(
            f"{target.name} needs {in_gib(total)} on the disk of {target.parent}, which has {in_gib(free)} free: make "
            "room (`slipway remove-cache` removes models), or set SLIPWAY_HOME to another disk",
            code="disk_full",
        )


def _write(partial: Path, parts: Sequence[Part], total: int, progress: Progress, cancel: threading.Event) -> None:
    written, reported_at = 0, 0.0
    with partial.open("wb") as file:
        for chunk in _chunks(parts):
            if cancel.is_set():
                raise Cancelled(f"making {partial.stem} was cancelled")
            file.write(chunk)
            written += len(chunk)
            if written == total or time.monotonic() - reported_at >= _REPORT_EVERY_S:
                reported_at = time.monotonic()
                progress(written, total)
        file.flush()
        os.fsync(file.fileno())


def _chunks(parts: Sequence[Part]) -> Iterator[bytes]:
    opened: tuple[Path, BinaryIO] | None = None
    try:
        for part in parts:
            if isinstance(part, bytes):
                yield part
                continue
            if opened is None or opened[0] != part.path:
                if opened is not None:
                    opened[1].close()
                opened = part.path, open_weights(part.path)
            yield from _read(opened[1], part)
    finally:
        if opened is not None:
            opened[1].close()


def _read(file: BinaryIO, piece: Piece) -> Iterator[bytes]:
    file.seek(piece.start)
    left = piece.size
    while left:
        data = file.read(min(_CHUNK, left))
        if not data:
            raise BadModelFile(f"{piece.path} became shorter while it was read: it ends {left} bytes too early")
        left -= len(data)
        yield data


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_error(target: Path, error: OSError) -> FetchFailed:
    if error.errno == errno.ENOSPC:
        return DiskFull(
            f"the disk of {target.parent} is full: make room (`slipway remove-cache` removes models) and launch again",
            code="disk_full",
        )
    return FetchFailed(f"{target} cannot be made: {error.strerror or error}; check the permissions, or SLIPWAY_HOME")
