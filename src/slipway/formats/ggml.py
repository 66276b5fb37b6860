"""Reads and checks a ggmlv3 file (GGJT version 3: a Llama model as llama.cpp kept it from May to August 2023).

The file has no table of contents: numbers, vocabulary, then every tensor with its own small header. Its data types are
GGUF's, so `ggml_to_gguf` beside it moves the data as it is. Source of the rules: llama.cpp's reader of that time.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.cursor import U32, Cursor
from slipway.formats.gguf import Tensor
from slipway.formats.gguf_types import FILE_TYPES, TENSOR_TYPES
from slipway.formats.magic import GGJT_MAGIC, describe, open_weights

ALIGNMENT = 32
_VERSION = 3
_OLD = {b"lmgg": "ggml", b"fmgg": "ggmf"}
_MAX_VOCABULARY = 1 << 20
_MAX_WIDTH = 1 << 20
_MAX_LAYERS = 1 << 10
_MAX_TOKEN = 1 << 12
_MAX_TENSORS = 1 << 14
_MAX_NAME = 1 << 8
_NUMBERS = struct.Struct("<7I")
_SCORE = struct.Struct("<f")
_TYPES = frozenset({0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14})  # those a file of that time can hold
_MATRICES = ("attention.wq", "attention.wk", "attention.wv", "attention.wo")
_LAYER = (*_MATRICES, "feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "attention_norm", "ffn_norm")


@dataclass(frozen=True, slots=True)
class Numbers:
    """The hyperparameters a file begins with."""

    vocabulary: int
    width: int  # n_embd
    multiple: int  # n_mult; the feed-forward width was rounded up to it
    heads: int
    layers: int
    rotated: int  # n_rot: dimensions of a head that are rotated, which is all of them
    file_type: int


@dataclass(frozen=True, slots=True)
class GgmlHeader:
    """All of one file but its weights. Every tensor of a Llama of these numbers is there, and lies within the file."""

    path: Path
    numbers: Numbers
    tokens: tuple[tuple[bytes, float], ...]  # text and score, by id
    tensors: tuple[Tensor, ...]  # in the file's order, by the file's names
    file_bytes: int

    @property
    def by_name(self) -> Mapping[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    @property
    def feed_forward(self) -> int:
        return self.by_name["layers.0.feed_forward.w1.weight"].shape[1]

    @property
    def kv_heads(self) -> int:
        """Not stored, so read off the keys' matrix. Of Llama 2 70B, which has 8, users had to say it themselves."""
        return self.by_name["layers.0.attention.wk.weight"].shape[1] // self.head_size

    @property
    def head_size(self) -> int:
        return self.numbers.width // self.numbers.heads

    @property
    def quantization(self) -> str:
        """As llama.cpp names it, in lower case: ``q4_k_m``."""
        return FILE_TYPES[self.numbers.file_type]

    @property
    def weights_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def parameters(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)


def starts_as_ggml(path: Path) -> bool:
    """Whether a file begins as one of the formats before GGUF, any version."""
    with open_weights(path) as file:
        return file.read(4) in {GGJT_MAGIC, *_OLD}


def read_ggml(path: Path) -> GgmlHeader:
    """Read and check a ggmlv3 file. Raises BadModelFile with the reason, and nothing else."""
    with open_weights(path) as file:
        try:
            return _header(Cursor(path, file, "ggmlv3"))
        except OSError as error:
            raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None


def _header(cursor: Cursor) -> GgmlHeader:
    _check_version(cursor)
    numbers = _numbers(cursor)
    tokens = tuple(_tokens(cursor, numbers.vocabulary))
    tensors = tuple(_tensors(cursor))
    _check_tensors(cursor, numbers, tensors)
    return GgmlHeader(cursor.path, numbers, tokens, tensors, cursor.size)


def _check_version(cursor: Cursor) -> None:
    head = cursor.peek(64)
    magic = head[:4]
    version = 1 if magic == b"lmgg" else int.from_bytes(head[4:8], "little")
    if magic in _OLD or (magic == GGJT_MAGIC and version in {1, 2}):
        name = _OLD.get(magic, "ggjt")
        raise cursor.bad(
            f"it is {name} version {version}, older than ggmlv3. The layout of quantized weights has changed since, so "
            "it cannot be converted: take the model as GGUF or safetensors"
        )
    if magic != GGJT_MAGIC:
        raise BadModelFile(f"{cursor.path} is not a ggmlv3 file: it looks like {describe(head)}")
    if version != _VERSION:
        raise cursor.bad(f"it says it is ggjt version {version}; the last one was {_VERSION}")
    cursor.skip(8, "the version")


def _numbers(cursor: Cursor) -> Numbers:
    numbers = Numbers(*_NUMBERS.unpack(cursor.take(_NUMBERS.size, "the model's numbers")))
    limits = {"n_vocab": _MAX_VOCABULARY, "n_embd": _MAX_WIDTH, "n_head": _MAX_WIDTH, "n_layer": _MAX_LAYERS}
    found = (numbers.vocabulary, numbers.width, numbers.heads, numbers.layers)
    for (name, limit), value in zip(limits.items(), found, strict=True):
        if not 0 < value <= limit:
            raise cursor.bad(f"{name} is {value}, not between 1 and {limit}; the file is damaged")
    if numbers.width % numbers.heads:
        raise cursor.bad(f"n_embd {numbers.width} cannot be shared among {numbers.heads} heads; the file is damaged")
    if numbers.rotated != numbers.width // numbers.heads:
        raise cursor.bad(f"n_rot is {numbers.rotated}, not n_embd / n_head; it is no Llama, or the file is damaged")
    if numbers.file_type not in FILE_TYPES or numbers.file_type > 18:
        raise cursor.bad(f"its file type is {numbers.file_type}, which ggmlv3 does not have")
    if numbers.vocabulary < 3:
        raise cursor.bad(f"its vocabulary has {numbers.vocabulary} tokens; a Llama's begins with <unk>, <s> and </s>")
    return numbers


def _tokens(cursor: Cursor, count: int) -> Iterator[tuple[bytes, float]]:
    if count * (U32.size + _SCORE.size) > cursor.remaining:
        raise cursor.cut("the vocabulary", cursor.position + count * (U32.size + _SCORE.size))
    for index in range(count):
        length = cursor.count(U32, _MAX_TOKEN, f"the length of token {index}")
        text = cursor.take(length, f"token {index}")
        yield text, float(cursor.unpack(_SCORE, f"the score of token {index}"))


def _tensors(cursor: Cursor) -> Iterator[Tensor]:
    for _ in range(_MAX_TENSORS):
        if not cursor.remaining:
            return
        yield _tensor(cursor)
    raise cursor.bad(f"it has more than {_MAX_TENSORS} tensors; the file is damaged")


def _tensor(cursor: Cursor) -> Tensor:
    dimensions = cursor.count(U32, 2, "the number of a tensor's dimensions")
    name_length = cursor.count(U32, _MAX_NAME, "the length of a tensor's name")
    number = int(cursor.unpack(U32, "a tensor's type"))
    shape = tuple(cursor.count(U32, _MAX_WIDTH, "a tensor's dimension") for _ in range(dimensions))
    name = cursor.take(name_length, "a tensor's name").decode("utf-8", "replace")
    if number not in _TYPES:
        raise cursor.bad(f"tensor {name!r} has type {number}, which ggmlv3 does not have")
    kind = TENSOR_TYPES[number]
    if not shape or min(shape) == 0 or shape[0] % kind.block:
        raise cursor.bad(f"tensor {name!r} has the shape {shape}, which {kind.name} cannot store")
    cursor.skip(-cursor.position % ALIGNMENT, f"the padding before {name}")
    elements = shape[0] * (shape[1] if dimensions == 2 else 1)
    tensor = Tensor(name, shape, kind.name, cursor.position, elements // kind.block * kind.size)
    cursor.skip(tensor.bytes, f"tensor {name}")
    return tensor


def _check_tensors(cursor: Cursor, numbers: Numbers, tensors: tuple[Tensor, ...]) -> None:
    """Every tensor a Llama of these numbers has is there once, with its shape; no other is."""
    found = {tensor.name: tensor for tensor in tensors}
    if len(found) < len(tensors):
        raise cursor.bad("it has a tensor twice")
    expected = dict(_expected(cursor, numbers, found))
    for name in found:
        if name not in expected:
            raise cursor.bad(f"it has a tensor {name!r}, which no Llama of {numbers.layers} layers has")
    for name, shape in expected.items():
        if name not in found:
            raise cursor.bad(f"it lacks the tensor {name}: it is cut short, or no Llama")
        if found[name].shape != shape:
            raise cursor.bad(f"tensor {name} has the shape {found[name].shape}; its numbers ask for {shape}")


def _expected(cursor: Cursor, numbers: Numbers, found: Mapping[str, Tensor]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, fastest dimension first; the two widths that are not stored are layer 0's."""
    width, table = numbers.width, (numbers.width, numbers.vocabulary)
    yield from (("tok_embeddings.weight", table), ("norm.weight", (width,)), ("output.weight", table))
    keys, inner = (_rows(cursor, found, f"layers.0.{part}.weight") for part in ("attention.wk", "feed_forward.w1"))
    head = width // numbers.heads
    if keys % head or numbers.heads % (keys // head):
        raise cursor.bad(f"layers.0.attention.wk.weight has {keys} rows, which {numbers.heads} heads cannot share")
    attention = ((width, width), (width, keys), (width, keys), (width, width))
    shapes = (*attention, (width, inner), (inner, width), (width, inner), (width,), (width,))
    for layer in range(numbers.layers):
        for part, shape in zip(_LAYER, shapes, strict=True):
            yield f"layers.{layer}.{part}.weight", shape


def _rows(cursor: Cursor, found: Mapping[str, Tensor], name: str) -> int:
    if name not in found or len(found[name].shape) != 2:
        raise cursor.bad(f"it lacks the matrix {name}: it is cut short, or no Llama")
    return found[name].shape[1]
