"""Writes tiny ggmlv3 files with struct alone: a two-layer Llama of random weights, and the beginnings of bad ones."""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

F32, F16, Q8_0 = 0, 1, 8
_BLOCKS = {F32: (1, 4), F16: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), Q8_0: (32, 34)} | {
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
}
Entry = tuple[str, int, tuple[int, ...]]  # name, type, shape with the fastest dimension first


WORDS: tuple[str, ...] = (
    *(" t", "he", " a", " the", "in", " s", "er", "on", " w", "or", "an", " c", "at", "is", " of", "en", "it", " to"),
    *(" in", "ing", " b", " p", " f", "re", " h", "ou", " m", "ion", "é", "中", "国", " Paris", " is", "  ", "    "),
    *(" !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"),
    *[first + second for first in "bcdfghklmnprstvwz" for second in "aeuy!?:;"][:125],  # 512 in all, two blocks of 256
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama, small but wide enough for quantizations in blocks of 256."""

    width: int = 256
    heads: int = 4
    kv_heads: int = 4
    layers: int = 2
    inner: int = 768  # what the readers of the time computed: two thirds of 4 × width, rounded up to 256
    file_type: int = 0
    words: tuple[str, ...] = WORDS

    @property
    def vocabulary(self) -> list[tuple[bytes, float]]:
        """As Meta's: <unk>, <s> and </s>, the 256 bytes, then pieces with a score each."""
        first = [(" \N{DOUBLE QUESTION MARK} ".encode(), 0.0), (b"", 0.0), (b"", 0.0)]
        pieces = [(word.encode(), -float(number)) for number, word in enumerate(self.words)]
        return first + [(bytes((byte,)), 0.0) for byte in range(256)] + pieces

    def entries(self, kind: int) -> list[Entry]:
        keys, table = self.width // self.heads * self.kv_heads, (self.width, len(self.vocabulary))
        found: list[Entry] = [("tok_embeddings.weight", kind, table), ("norm.weight", F32, (self.width,))]
        found.append(("output.weight", kind, table))
        matrices = {"wq": self.width, "wk": keys, "wv": keys, "wo": self.width}
        for layer in range(self.layers):
            block = f"layers.{layer}."
            found += [(f"{block}attention.{name}.weight", kind, (self.width, n)) for name, n in matrices.items()]
            found.append((f"{block}attention_norm.weight", F32, (self.width,)))
            found.append((f"{block}feed_forward.w1.weight", kind, (self.width, self.inner)))
            found.append((f"{block}feed_forward.w2.weight", kind, (self.inner, self.width)))
            found.append((f"{block}feed_forward.w3.weight", kind, (self.width, self.inner)))
            found.append((f"{block}ffn_norm.weight", F32, (self.width,)))
        return found


# Two that another program's answers are kept for: with keys for every head, and with one for eight, as Llama 2 70B.
REFERENCES = {"own-keys": Shape(), "shared-keys": Shape(heads=8, kv_heads=1)}


def ggml(
    shape: Shape | None = None,
    kind: int = F32,
    entries: Sequence[Entry] | None = None,
    version: int = 3,
    numbers: Sequence[int] | None = None,
) -> bytes:
    """A whole file. ``numbers`` replaces the seven a file begins with."""
    shape = shape or Shape()
    return header(shape, version, numbers) + tensors(shape.entries(kind) if entries is None else entries, shape)


def header(shape: Shape, version: int = 3, numbers: Sequence[int] | None = None) -> bytes:
    own = (len(shape.vocabulary), shape.width, 256, shape.heads, shape.layers, shape.width // shape.heads)
    data = b"tjgg" + struct.pack("<I7I", version, *(numbers or (*own, shape.file_type)))
    return data + b"".join(
        struct.pack("<I", len(word)) + word + struct.pack("<f", score) for word, score in shape.vocabulary
    )


def tensors(entries: Sequence[Entry], shape: Shape) -> bytes:
    dice, data, start = random.Random(7), bytearray(), len(header(shape))
    for name, kind, dimensions in entries:
        data += struct.pack("<3I", len(dimensions), len(name.encode()), kind)
        data += struct.pack(f"<{len(dimensions)}I", *dimensions) + name.encode()
        data += bytes(-(start + len(data)) % 32)
        data += weights(dice, kind, dimensions)
    return bytes(data)


def weights(dice: random.Random, kind: int, dimensions: Sequence[int]) -> bytes:
    count = dimensions[0] * (dimensions[1] if len(dimensions) == 2 else 1)
    if kind == F32 and len(dimensions) == 1:
        return struct.pack(f"<{count}f", *(1 + dice.random() / 10 for _ in range(count)))
    if kind == F32:
        return struct.pack(f"<{count}f", *(dice.uniform(-0.2, 0.2) for _ in range(count)))
    block, size = _BLOCKS[kind]
    return dice.randbytes(count // block * size)
