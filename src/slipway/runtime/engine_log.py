"""An engine's log: begun anew at every launch, kept within a size while it runs, read from its end."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

LIMIT_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[int]:
    """A descriptor that appends to an empty log; the log of the launch before is put aside as ``.1``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.replace(_aside(path))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def trim_log(path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Put the text of a log that has grown past the limit aside and empty it; who appends to it goes on.

    A line written between the two steps is lost.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_size > limit_bytes:
            _aside(path).write_bytes(path.read_bytes())
            os.truncate(path, 0)


def log_tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last ``lines`` lines; empty if there is no log."""
    return tuple(read_tail(path, lines)[0].decode(errors="replace").splitlines())


def read_tail(path: Path, lines: int) -> tuple[bytes, int]:
    """The last ``lines`` lines as they stand, and the position after them; nothing if there is no log."""
    data = b""
    try:
        with path.open("rb") as log:
            end = start = log.seek(0, os.SEEK_END)
            while start > 0 and data.count(b"\n") <= lines:
                size = min(_BLOCK_BYTES, start)
                start = log.seek(start - size)
                data = log.read(size) + data
    except OSError:
        return b"", 0
    return b"".join(data.splitlines(keepends=True)[-lines:] if lines > 0 else ()), end


def _aside(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".1")
