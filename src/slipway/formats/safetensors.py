"""Reads and checks the headers of safetensors files and of the checkpoints they make up; weights are never read.

Source of the rules: the safetensors format's documentation: an 8-byte length, a JSON header, then data that the
header's offsets cover from the first byte to the last, without holes.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeGuard

from slipway.errors import BadModelFile
from slipway.formats.magic import GGUF_MAGIC, describe, open_weights

INDEX = "model.safetensors.index.json"
_MAX_HEADER = 100_000_000
_MAX_INDEX = 100_000_000
_MAX_ELEMENTS = (1 << 63) - 1
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")
_BITS: Mapping[str, int] = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor as a header describes it."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The safetensors files of one model, checked to be whole and to fit together."""

    files: tuple[Path, ...]
    tensors: Mapping[str, Stored]

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors.values())


def read_safetensors(path: Path) -> dict[str, Stored]:
    """Read and check the header of one file: tensor name -> Stored. Raises BadModelFile with the reason."""
    try:
        with open_weights(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(64)
            length = _header_length(path, head, size)
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None
    return _checked(path, _parsed(path, text), size - 8 - length, 8 + length)


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read every safetensors header of a checkpoint directory, through its index where it has one.

    Raises BadModelFile: a missing or truncated shard, a file outside the directory, tensors that do not add up.
    """
    index = directory / INDEX
    wanted = _indexed(index) if index.exists() else {}
    files = tuple(directory / name for name in dict.fromkeys(wanted.values())) or _loose(directory)
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise BadModelFile(
            f"{directory} lacks {len(missing)} of its {len(files)} weight files: {', '.join(missing[:5])}; "
            "fetch it again"
        )
    tensors: dict[str, Stored] = {}
    where: dict[str, str] = {}
    for file in files:
        for name, stored in read_safetensors(file).items():
            if name in tensors and not wanted:
                raise BadModelFile(f"{directory} holds the tensor {name} in two files, {where[name]} and {file.name}")
            tensors[name] = stored
            where.setdefault(name, file.relative_to(directory).as_posix())
    for name, file_name in wanted.items():
        if name not in tensors:
            raise BadModelFile(
                f"{index} places the tensor {name} in {file_name}, which does not hold it; fetch it again"
            )
    return Checkpoint(files, tensors)


def plain_name(name: str) -> bool:
    """Whether a file's name, as someone else wrote it, stays inside the directory it is read from."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return bool(name) and "\0" not in name and not windows.anchor and not posix.anchor and ".." not in windows.parts


def _header_length(path: Path, head: bytes, size: int) -> int:
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or head[8:9] != b"{" or head.startswith(GGUF_MAGIC):
        words = describe(head) if head[8:9] != b"{" or head.startswith(GGUF_MAGIC) else "cut short"
        raise BadModelFile(f"{path} is not a safetensors file: it looks like {words}")
    if length > _MAX_HEADER:
        raise BadModelFile(f"{path} is not a usable safetensors file: its header claims {length} bytes")
    if 8 + length > size:
        raise BadModelFile(
            f"{path} is truncated: its header needs bytes up to {8 + length}, the file has {size}; fetch it again"
        )
    return length


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadModelFile(f"{path} is not a usable safetensors file: its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise BadModelFile(f"{path} is not a usable safetensors file: its header is not a JSON object")
    header.pop("__metadata__", None)
    return header


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _checked(path: Path, header: dict[str, Any], data_bytes: int, data_start: int) -> dict[str, Stored]:
    spans: list[tuple[int, int, str]] = []
    tensors: dict[str, Stored] = {}
    for name, entry in header.items():
        begin, end, tensors[name] = _entry(path, name, entry)
        spans.append((begin, end, name))
    expected = 0
    for begin, end, name in sorted(spans):
        if begin != expected:
            raise BadModelFile(f"{path} is damaged: tensor {name} starts at {begin}, where {expected} was expected")
        if end > data_bytes:
            raise BadModelFile(
                f"{path} is truncated: tensor {name} needs bytes up to {data_start + end}, "
                f"the file has {data_start + data_bytes}; fetch it again"
            )
        expected = end
    if expected != data_bytes:
        raise BadModelFile(f"{path} is damaged: {data_bytes - expected} bytes at its end belong to no tensor")
    return tensors


def _entry(path: Path, name: str, entry: object) -> tuple[int, int, Stored]:
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None or not isinstance(dtype, str):
        raise BadModelFile(f"{path} is not usable: tensor {name} has the unknown type {dtype!r}")
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 64:
        raise BadModelFile(f"{path} is damaged: tensor {name} has no proper shape and offsets")
    elements, (begin, end) = math.prod(shape), offsets
    if elements > _MAX_ELEMENTS or begin > end or elements * bits != (end - begin) * 8:
        raise BadModelFile(f"{path} is damaged: tensor {name}, {dtype} {shape}, cannot lie in {offsets}")
    return begin, end, Stored(dtype, tuple(shape), end - begin)


def _counts(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(each) is int and 0 <= each <= _MAX_ELEMENTS for each in value)


def _indexed(index: Path) -> dict[str, str]:
    """The index's weight_map: tensor name -> file name, each name checked to stay inside the directory."""
    with open_weights(index) as file:
        text = file.read(_MAX_INDEX + 1)
    try:
        read = json.loads(text) if len(text) <= _MAX_INDEX else None
    except (ValueError, RecursionError):
        read = None
    wanted = read.get("weight_map") if isinstance(read, dict) else None
    if not isinstance(wanted, dict) or not wanted:
        raise BadModelFile(f"{index} is not a usable index: it has no weight_map; fetch it again")
    for file_name in wanted.values():
        if not isinstance(file_name, str) or not plain_name(file_name):
            raise BadModelFile(f"{index} names {file_name!r}, outside the model's directory; it is refused")
        if not file_name.endswith(".safetensors"):
            raise BadModelFile(f"{index} names {file_name!r}, which is not a safetensors file; it is refused")
    return wanted


def _loose(directory: Path) -> tuple[Path, ...]:
    """The safetensors files of a directory without an index; shards are completed by their own numbering."""
    found = sorted(directory.glob("*.safetensors"))
    if not found:
        raise BadModelFile(f"{directory} holds no .safetensors file")
    shard = _SHARD.fullmatch(found[0].name)
    if shard is None:
        return tuple(found)
    stem, count = shard["stem"], int(shard["count"])
    return tuple(directory / f"{stem}-{number + 1:05}-of-{count:05}.safetensors" for number in range(max(count, 1)))
