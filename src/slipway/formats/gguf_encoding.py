"""Encodes the header of a GGUF file, version 3, from values and a table of tensors. The reader is `gguf` beside it."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.formats.gguf import Tensor
from slipway.formats.gguf_types import TENSOR_TYPES
from slipway.formats.magic import GGUF_MAGIC

ALIGNMENT = 32
_VERSION = 3
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A metadata value as it lies in the file: its type's number, then its bytes."""

    kind: int
    data: bytes


def text(value: str) -> Encoded:
    return Encoded(_STRING, _string(value.encode()))


def whole(value: int) -> Encoded:
    return Encoded(_U32, struct.pack("<I", value))


def real(value: float) -> Encoded:
    return Encoded(_F32, struct.pack("<f", value))


def truth(value: bool) -> Encoded:
    return Encoded(_BOOL, struct.pack("<?", value))


def texts(values: Sequence[bytes]) -> Encoded:
    return _array(_STRING, len(values), b"".join(_string(value) for value in values))


def wholes(values: Sequence[int]) -> Encoded:
    return _array(_I32, len(values), struct.pack(f"<{len(values)}i", *values))


def reals(values: Sequence[float]) -> Encoded:
    return _array(_F32, len(values), struct.pack(f"<{len(values)}f", *values))


def encoded_header(metadata: Mapping[str, Encoded], tensors: Sequence[Tensor]) -> bytes:
    """All that stands before the data, padded to where the data begins.

    The tensors' ``offset`` counts from there, and is a multiple of ``ALIGNMENT``.
    """
    parts = [GGUF_MAGIC, struct.pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    parts += [_string(key.encode()) + struct.pack("<I", value.kind) + value.data for key, value in metadata.items()]
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts.append(_string(tensor.name.encode()) + shape + struct.pack("<IQ", _NUMBERS[tensor.type], tensor.offset))
    header = b"".join(parts)
    return header.ljust(padded(len(header)), b"\0")


def padded(size: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _string(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def _array(kind: int, count: int, data: bytes) -> Encoded:
    return Encoded(_ARRAY, struct.pack("<IQ", kind, count) + data)
