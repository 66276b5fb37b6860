"""The twin's vocabulary as llama.cpp's formats want it: text, score and type of every piece."""

import json
from enum import IntEnum
from pathlib import Path

FIRST_MERGED = 259  # after <unk>, <s>, </s> and the 256 bytes


class PieceType(IntEnum):
    """SentencePiece's types, with llama.cpp's numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    UNUSED = 5
    BYTE = 6


def pieces(folder: Path) -> list[tuple[str, float, PieceType]]:
    """Every piece of tokenizer.json by id: its text (`▁` for a space), its score, its type.

    Scores fall with the id, so the piece with the lowest id is merged first, as in tokenizer.json's list of merges.
    """
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    ordered = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    return [(text, min(0.0, float(FIRST_MERGED - index)), type_of(text, index)) for index, text in enumerate(ordered)]


def type_of(text: str, index: int) -> PieceType:
    """The type of the piece `text` with the id `index`."""
    if index < 3:
        return PieceType.CONTROL if index else PieceType.UNKNOWN
    if index < FIRST_MERGED:
        return PieceType.BYTE
    return PieceType.UNUSED if text.startswith("<unused_") else PieceType.NORMAL
