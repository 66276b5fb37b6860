"""A GGUF model that is not a file of its own: the pieces of others that it is made of, in order.

A llamafile holds one GGUF inside; ``x.gguf.a``, ``x.gguf.b`` or ``x.gguf-split-a``, ``-split-b`` are one, cut.
llama.cpp reads plain files only, so `assembly` makes one of the pieces. Nothing is ever executed.
"""

import io
import re
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.assembly import Piece, whole
from slipway.formats.gguf import GgufHeader, read_gguf, read_gguf_header
from slipway.formats.llamafile import is_llamafile, model_inside
from slipway.formats.magic import open_weights

_CUT = re.compile(r"(?P<stem>.+\.gguf)(?P<mark>\.|-split-)(?P<letter>[a-z])", re.IGNORECASE)
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_CHUNK = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Pieces:
    """``name`` is what the file they make is called, ``pieces`` its bytes in order, ``crc32`` their known checksum."""

    name: str
    pieces: tuple[Piece, ...]
    crc32: int | None = None

    def check(self, made: Path) -> None:
        """Check the file made of them. Raises BadModelFile."""
        read_gguf(made)
        if self.crc32 is not None and self.crc32 != _crc32(made):
            raise BadModelFile(
                f"{self.pieces[0].path} arrived damaged: its model's checksum is not the one it gives; fetch it again"
            )


def pieces_of(path: Path) -> Pieces | None:
    """The pieces of the GGUF at ``path`` (of a cut one, any piece); None where it is a plain file, whatever it holds.

    Raises BadModelFile: a piece is missing, or a llamafile holds no model, or more than one.
    """
    cut = _CUT.fullmatch(path.name)
    if cut is not None:
        return Pieces(cut["stem"], tuple(whole(each) for each in _cut_files(path, cut)))
    if is_llamafile(path):
        inside = model_inside(path)
        return Pieces(f"{path.stem}.gguf", (inside.piece,), inside.crc32)
    return None


def gguf_shards(path: Path) -> tuple[Path, ...]:
    """All files of the GGUF model that ``path`` belongs to, in order: llama.cpp opens the first and finds the others.

    Raises BadModelFile if one is missing.
    """
    shard = _SHARD.fullmatch(path.name)
    if shard is None:
        return (path,)
    count = max(int(shard["count"]), 1)
    paths = tuple(path.with_name(f"{shard['stem']}-{n + 1:05}-of-{shard['count']}.gguf") for n in range(count))
    missing = [each.name for each in paths if not each.exists()]
    if missing:
        raise BadModelFile(
            f"{path} is one of {count} parts, and {len(missing)} are not beside it: {', '.join(missing[:5])}"
        )
    return paths


def read_pieces(pieces: Pieces) -> GgufHeader:
    """Read and check the header of the GGUF that the pieces make. Raises BadModelFile."""
    first = pieces.pieces[0].path
    with closing(_Joined(pieces.pieces)) as joined:
        return read_gguf_header(first, joined)


def _crc32(path: Path) -> int:
    crc = 0
    with open_weights(path) as file:
        while data := file.read(_CHUNK):
            crc = zlib.crc32(data, crc)
    return crc


def _cut_files(path: Path, cut: re.Match[str]) -> list[Path]:
    """From the first letter on, as far as there are files. A gap, or nothing after the first, is refused."""
    stem, mark = cut["stem"], cut["mark"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if cut["letter"].isupper() else "abcdefghijklmnopqrstuvwxyz"
    files = {letter: path.with_name(f"{stem}{mark}{letter}") for letter in letters}
    last = max((number for number, letter in enumerate(letters) if files[letter].is_file()), default=0)
    needed = [files[letter] for letter in letters[: max(last, 1) + 1]]
    missing = [file.name for file in needed if not file.is_file()]
    if missing:
        raise BadModelFile(f"{path} is a piece of {stem}, and {', '.join(missing)} is not beside it: fetch it too")
    return needed


class _Joined(io.RawIOBase):
    """Reads pieces as one file."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._files = [open_weights(piece.path) for piece in pieces]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(piece.size for piece in self._pieces)}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        read, start = b"", 0
        for piece, file in zip(self._pieces, self._files, strict=True):
            if start <= self._at < start + piece.size and len(read) < size:
                file.seek(piece.start + self._at - start)
                read += (data := file.read(min(size - len(read), start + piece.size - self._at)))
                self._at += len(data)
            start += piece.size
        return read

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
