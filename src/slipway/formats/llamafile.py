"""Finds the GGUF model inside a llamafile: a program with a zip archive at its end, the model stored uncompressed.

The program is never executed, and the archive's default arguments are not read. Source: the llamafile project's
documentation, and PKWARE's for the archive, which Python's zipfile reads.
"""

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.assembly import Piece
from slipway.formats.magic import GGUF_MAGIC, open_weights

_PROGRAMS = (b"MZ", b"\x7fELF", b"#!")
_LOCAL = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_MAX_DIRECTORY = 1 << 20
_END = struct.Struct("<4s4xHHIIH")  # signature, entries here, entries in all, directory's size and offset, comment
_TAIL = (1 << 16) + _END.size


def is_llamafile(path: Path) -> bool:
    """Whether it is named one, or is a program with an archive at its end."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".llamafile":
        return True
    with open_weights(path) as file:
        if not file.read(4).startswith(_PROGRAMS):
            return False
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        return b"PK\x05\x06" in file.read(_TAIL)


@dataclass(frozen=True, slots=True)
class Inside:
    """Where in a llamafile its model lies, and the checksum its archive gives."""

    piece: Piece
    crc32: int


def model_inside(path: Path) -> Inside:
    """Find the model in a llamafile. Raises BadModelFile: damaged, compressed, no model, or several."""
    models = [each for each in _entries(path) if _is_model(each.filename)]
    if len(models) != 1:
        names = ", ".join(each.filename for each in models)
        held = f"it holds several models ({names}): extract one with unzip" if models else "it holds no .gguf file"
        raise _bad(path, f"{held}; a llamafile of a program without a model needs the model's own file")
    return Inside(_piece(path, models[0]), models[0].CRC)


def _is_model(name: str) -> bool:
    base = name.rpartition("/")[2].lower()
    return base.endswith(".gguf") and not base.startswith("mmproj")


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with open_weights(path) as file:
            _check_directory(path, file.read(4), file.seek(0, 2))
            with zipfile.ZipFile(file) as archive:
                return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError) as error:
        raise _bad(path, f"its archive cannot be read ({error}); fetch it again") from None
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None


def _check_directory(path: Path, head: bytes, size: int) -> None:
    """zipfile reads the whole directory into memory: refuse one that cannot be a llamafile's."""
    if head.startswith(GGUF_MAGIC):
        raise _bad(path, "it is a GGUF file: name it .gguf")
    with open_weights(path) as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise _bad(path, "it has no archive at its end: it is cut short, or no llamafile")
    _, _, _, directory, _, _ = _END.unpack_from(tail, at)
    if directory > _MAX_DIRECTORY and directory != 0xFFFFFFFF:
        raise _bad(path, f"its archive's directory takes {directory} bytes; it is damaged")


def _piece(path: Path, entry: zipfile.ZipInfo) -> Piece:
    """The bytes of one entry: uncompressed, unencrypted, and within the file."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.file_size != entry.compress_size:
        raise _bad(path, f"{entry.filename} is compressed or encrypted in it: extract it with unzip")
    with open_weights(path) as file:
        size = file.seek(0, 2)
        file.seek(entry.header_offset)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size:
            raise _bad(path, "it is cut short; fetch it again")
        signature, name, extra = _LOCAL.unpack(header)
        start = entry.header_offset + _LOCAL.size + name + extra
        if signature != b"PK\x03\x04" or start + entry.file_size > size:
            raise _bad(path, f"{entry.filename} does not lie within it; fetch it again")
        file.seek(start)
        if file.read(4) != GGUF_MAGIC:
            raise _bad(path, f"{entry.filename} in it is not a GGUF file")
    return Piece(path, start, entry.file_size)


def _bad(path: Path, why: str) -> BadModelFile:
    return BadModelFile(f"{path} is not a usable llamafile: {why}")
