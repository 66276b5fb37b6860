"""What a file is by its first bytes, whatever its name says. Used by the readers beside it to explain a refusal."""

from pathlib import Path
from typing import BinaryIO

from slipway.errors import BadModelFile

GGUF_MAGIC = b"GGUF"
GGJT_MAGIC = b"tjgg"
_HEAD_BYTES = 512

_MAGICS: tuple[tuple[bytes, str], ...] = (
    (GGUF_MAGIC, "a GGUF file"),
    (GGJT_MAGIC, "a ggmlv3 file (GGJT)"),
    (b"fmgg", "a ggmf file, older than ggmlv3"),
    (b"lmgg", "a ggml file, older than ggmlv3"),
    (b"PK\x03\x04", "a zip archive, as PyTorch writes pickled weights; pickles run code and are never loaded"),
    (b"\x80\x02", "a Python pickle, which runs code when loaded and is never loaded"),
    (b"\x80\x03", "a Python pickle, which runs code when loaded and is never loaded"),
    (b"\x80\x04", "a Python pickle, which runs code when loaded and is never loaded"),
    (b"\x80\x05", "a Python pickle, which runs code when loaded and is never loaded"),
    (b"version https://git-lfs", "a git-lfs pointer, not the weights: run `git lfs pull`, or fetch the file itself"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
)


def describe(head: bytes) -> str:
    """Say in words what the first bytes of a file look like."""
    if not head:
        return "an empty file"
    for magic, words in _MAGICS:
        if head.startswith(magic):
            return words
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page: the download answered with a page instead of the file"
    if len(head) > 8 and head[8:9] == b"{":
        return "a safetensors file"
    if text.startswith((b"{", b"[")):
        return "a JSON file"
    return "not a known format"


def describe_file(path: Path) -> str:
    """Say in words what the file at ``path`` looks like. Raises BadModelFile if it cannot be read."""
    with open_weights(path) as file:
        return describe(file.read(_HEAD_BYTES))


def open_weights(path: Path) -> BinaryIO:
    """Open ``path`` for reading bytes. Raises BadModelFile where it is missing, a directory, or unreadable."""
    try:
        if path.is_dir():
            raise BadModelFile(f"{path} is a directory, not a file of weights")
        if path.exists() and not path.is_file():
            raise BadModelFile(f"{path} is not a regular file: give a file of weights")
        return path.open("rb")
    except FileNotFoundError:
        raise BadModelFile(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None
