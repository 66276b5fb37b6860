"""A checkpoint of the pilot's Llama twin as a ggmlv3 file (GGJT version 3), as llama.cpp's converter wrote it."""

import json
import struct
from pathlib import Path
from typing import BinaryIO

from training.exports.quantized import FILE_TYPE_NUMBERS, Written, written
from training.twin.vocabulary import PieceType, pieces

from slipway.engines.mixes import Generation
from slipway.formats.ggml_to_gguf import LAYER_NAMES, NAMES

_MULTIPLE = 256  # n_mult; readers of the time rounded two thirds of 4 * width up to it
_OLD_NAMES = {new: old for old, new in (NAMES | LAYER_NAMES).items()}


def exported(folder: Path, target: Path, quantization: str) -> None:
    """Writes ``target``, whole or not at all. The checkpoint is a Llama with a head of its own."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as file:
        _write_numbers(file, config, FILE_TYPE_NUMBERS[quantization])
        for text, score, kind in pieces(folder):
            stored = _stored(text, kind)
            file.write(struct.pack("<I", len(stored)) + stored + struct.pack("<f", score))
        for each in written(folder, quantization, Generation.GGML, interleaved=True):
            _write_tensor(file, each)
    part.replace(target)


def _write_numbers(file: BinaryIO, config: dict[str, int], file_type: int) -> None:
    width, heads = config["hidden_size"], config["num_attention_heads"]
    numbers = (config["vocab_size"], width, _MULTIPLE, heads, config["num_hidden_layers"], width // heads)
    file.write(b"tjgg" + struct.pack("<I7I", 3, *numbers, file_type))


def _stored(text: str, kind: PieceType) -> bytes:
    """A piece as the format holds it: bytes as themselves, control tokens empty, the unknown one as two marks."""
    match kind:
        case PieceType.UNKNOWN:
            return " \N{DOUBLE QUESTION MARK} ".encode()
        case PieceType.CONTROL:
            return b""
        case PieceType.BYTE:
            return bytes((int(text[3:5], 16),))
        case _:
            return text.replace("\N{LOWER ONE EIGHTH BLOCK}", " ").encode()


def _write_tensor(file: BinaryIO, tensor: Written) -> None:
    """A tensor's own header, then its data from the next multiple of 32 on; dimensions with the fastest first."""
    name, shape = old_name(tensor.name).encode(), tensor.shape[::-1]
    file.write(
        struct.pack("<3I", len(shape), len(name), int(tensor.type)) + struct.pack(f"<{len(shape)}I", *shape) + name
    )
    file.write(bytes(-file.tell() % 32))
    file.write(tensor.data.tobytes())


def old_name(name: str) -> str:
    """``blk.3.attn_q.weight`` was ``layers.3.attention.wq.weight``."""
    part = name.removesuffix(".weight")
    if not part.startswith("blk."):
        return f"{_OLD_NAMES[part]}.weight"
    _, layer, part = part.split(".", 2)
    return f"layers.{layer}.{_OLD_NAMES[part]}.weight"
