"""Reads and checks the header of a GGUF file, versions 2 and 3, with the standard library alone.

Every count, length and offset is compared with the file before it is believed. Source of the rules: the GGUF
specification and gguf.cpp of the llama.cpp project. Weights are never read, and buffered reads are used instead of
a memory map, because a file that shrinks under a map kills the process.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.cursor import U32, U64, Cursor, Readable
from slipway.formats.gguf_types import FILE_TYPES, TENSOR_TYPES
from slipway.formats.magic import GGUF_MAGIC, describe, open_weights

_MAX_KEYS = 1 << 16
_MAX_TENSORS = 1 << 17
_MAX_ARRAY = 1 << 24
_MAX_STRING = 1 << 24
_MAX_NAME = 1 << 16
_MAX_KEPT = 4096  # arrays up to this many numbers are kept, longer ones only counted
_MAX_ELEMENTS = (1 << 63) - 1
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: U32,
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: U64,
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}


@dataclass(frozen=True, slots=True)
class Skipped:
    """An array that was checked and counted, and whose elements were not kept."""

    count: int


Value = bool | int | float | str | tuple[bool | int | float, ...] | Skipped


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: ``shape`` with the fastest dimension first, ``offset`` from the start of the file."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of one GGUF file, all of whose tensors lie within the file."""

    path: Path
    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    alignment: int
    file_bytes: int

    @property
    def architecture(self) -> str:
        return self.text("general.architecture") or ""

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def chat_template(self) -> str | None:
        return self.text("tokenizer.chat_template")

    @property
    def split_count(self) -> int:
        """How many files the model is split into; 1 when it is whole."""
        return max(1, self.number("split.count") or 1)

    @property
    def vocabulary(self) -> int | None:
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return self.own("vocab_size") or (tokens.count if isinstance(tokens, Skipped) else None)

    @property
    def quantization(self) -> str:
        """As llama.cpp names it, in lower case: ``q4_k_m``. Without general.file_type, what most bytes are."""
        named = FILE_TYPES.get((self.number("general.file_type") or 0) & ~1024)
        if named is not None and "general.file_type" in self.metadata:
            return named
        totals: dict[str, int] = {}
        for tensor in self.tensors:
            totals[tensor.type] = totals.get(tensor.type, 0) + tensor.bytes
        return max(totals, key=lambda kind: totals[kind], default="f32")

    def text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """A whole number; of a per-layer array, its largest."""
        value = self.metadata.get(key)
        if isinstance(value, tuple):
            value = max((each for each in value if isinstance(each, int)), default=None)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def own(self, key: str) -> int | None:
        """A whole number of the model's architecture: ``own("block_count")`` is ``qwen2.block_count``."""
        return self.number(f"{self.architecture}.{key}")


def read_gguf(path: Path) -> GgufHeader:
    """Read and check the header of ``path``. Raises BadModelFile with the reason, and nothing else."""
    with open_weights(path) as file:
        return read_gguf_header(path, file)


def read_gguf_header(path: Path, file: Readable) -> GgufHeader:
    """The same, of a GGUF file that lies in others: ``file`` reads it, ``path`` is what messages name."""
    try:
        return _header(Cursor(path, file))
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None


def _header(cursor: Cursor) -> GgufHeader:
    version = _version(cursor)
    tensor_count = cursor.count(U64, _MAX_TENSORS, "the number of tensors")
    key_count = cursor.count(U64, _MAX_KEYS, "the number of metadata keys")
    metadata = _metadata(cursor, key_count)
    alignment = _alignment(cursor, metadata)
    infos = [_tensor_info(cursor) for _ in range(tensor_count)]
    data_start = -(-cursor.position // alignment) * alignment
    tensors = tuple(_placed(cursor, infos, data_start, alignment))
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise cursor.bad("it names no general.architecture")
    return GgufHeader(cursor.path, version, metadata, tensors, alignment, cursor.size)


def _version(cursor: Cursor) -> int:
    head = cursor.peek(64)
    if head[:4] != GGUF_MAGIC:
        raise BadModelFile(f"{cursor.path} is not a GGUF file: it looks like {describe(head)}")
    cursor.skip(len(GGUF_MAGIC), "the magic")
    version = int(cursor.unpack(U32, "the version"))
    if version & 0xFFFF == 0 and version:
        raise cursor.bad("it was written for big-endian machines; convert the model again")
    if version == 1:
        raise cursor.bad("it is GGUF version 1, which no current llama.cpp reads; convert the model again")
    if version not in {2, 3}:
        raise cursor.bad(f"it says it is GGUF version {version}; 2 and 3 are known")
    return version


def _metadata(cursor: Cursor, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = cursor.text(_MAX_NAME, "a metadata key")
        if key in metadata:
            raise cursor.bad(f"it has the key {key!r} twice")
        kind = int(cursor.unpack(U32, f"the type of {key}"))
        metadata[key] = _value(cursor, kind, key)
    return metadata


def _value(cursor: Cursor, kind: int, key: str) -> Value:
    if kind == _STRING:
        return cursor.text(_MAX_STRING, key)
    if kind == _ARRAY:
        return _array(cursor, key)
    return cursor.unpack(_scalar(cursor, kind, key), key)


def _array(cursor: Cursor, key: str) -> Value:
    kind = int(cursor.unpack(U32, key))
    count = cursor.count(U64, _MAX_ARRAY, f"the length of {key}")
    if kind == _STRING:
        if count * 8 > cursor.remaining:
            raise cursor.cut(key, cursor.position + count * 8)
        cursor.skip_strings(count, key)
        return Skipped(count)
    form = _scalar(cursor, kind, key)
    if count > _MAX_KEPT:
        cursor.skip(count * form.size, key)
        return Skipped(count)
    return tuple(each[0] for each in form.iter_unpack(cursor.take(count * form.size, key)))


def _scalar(cursor: Cursor, kind: int, key: str) -> struct.Struct:
    form = _SCALARS.get(kind)
    if form is None:
        what = "an array of arrays, which GGUF readers refuse" if kind == _ARRAY else f"the unknown type {kind}"
        raise cursor.bad(f"{key} has {what}")
    return form


def _alignment(cursor: Cursor, metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise cursor.bad(f"general.alignment is {alignment!r}, not a power of two")
    return alignment


def _tensor_info(cursor: Cursor) -> Tensor:
    """One entry of the table of tensors; its offset still counts from the start of the data."""
    name = cursor.text(_MAX_NAME, "a tensor's name")
    dimensions = cursor.count(U32, 4, f"the number of dimensions of {name}")
    shape = tuple(cursor.count(U64, _MAX_ELEMENTS, f"a dimension of {name}") for _ in range(dimensions))
    number = int(cursor.unpack(U32, f"the type of {name}"))
    offset = int(cursor.unpack(U64, f"the offset of {name}"))
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        raise cursor.bad(f"tensor {name} has type {number}, unknown here; it may come from a newer llama.cpp")
    elements = math.prod(shape)
    if elements > _MAX_ELEMENTS:
        raise cursor.bad(f"tensor {name} has the impossible shape {shape}")
    if (shape[0] if shape else 1) % kind.block:
        raise cursor.bad(f"tensor {name} has rows of {shape[0]} weights, not a multiple of {kind.name}'s {kind.block}")
    return Tensor(name, shape, kind.name, offset, elements // kind.block * kind.size)


def _placed(cursor: Cursor, infos: list[Tensor], data_start: int, alignment: int) -> Iterator[Tensor]:
    """The tensors with offsets from the start of the file, each checked to lie within it."""
    seen: set[str] = set()
    for info in infos:
        if info.name in seen:
            raise cursor.bad(f"it has the tensor {info.name!r} twice")
        seen.add(info.name)
        if info.offset % alignment:
            raise cursor.bad(f"tensor {info.name} starts at {info.offset}, not a multiple of {alignment}")
        end = data_start + info.offset + info.bytes
        if end > cursor.size:
            raise cursor.cut(f"tensor {info.name}", end)
        yield Tensor(info.name, info.shape, info.type, data_start + info.offset, info.bytes)
