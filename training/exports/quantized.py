"""Which type each tensor of a small Qwen2 or Llama gets in one of llama.cpp's mixes, and the tensor's bytes in it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from training.exports import k_quants
from training.pilot.export_gguf import tensors

from slipway.engines.mixes import Generation, tensor_types
from slipway.formats.gguf_types import FILE_TYPES
from slipway.types import Architecture

FILE_TYPE_NUMBERS = {name: number for number, name in FILE_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """One tensor as a file will hold it: rows of floats, or of bytes in the type's blocks."""

    name: str
    type: gguf.GGMLQuantizationType
    shape: tuple[int, ...]  # in weights, slowest dimension first
    data: np.ndarray


def written(folder: Path, quantization: str, generation: Generation, interleaved: bool) -> Iterator[Written]:
    """Every tensor of a checkpoint, by llama.cpp's names, in the types its quantizer would choose."""
    kinds = _kinds(architecture(folder), quantization, generation)
    for name, values in tensors(folder, interleaved):
        kind = kinds.get(name, "f32")
        yield Written(name, gguf.GGMLQuantizationType[kind.upper()], values.shape, as_type(values, kind))


def architecture(folder: Path) -> Architecture:
    """The shape of a checkpoint, from its config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return Architecture(
        name=config["architectures"][0],
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        intermediate=config["intermediate_size"],
        vocab=config["vocab_size"],
        tied=config["tie_word_embeddings"],
        qkv_bias=config["architectures"] == ["Qwen2ForCausalLM"],
    )


def as_type(values: np.ndarray, kind: str) -> np.ndarray:
    """Values as llama.cpp stores them in one type."""
    if kind in {"f32", "f16"}:
        return values.astype(np.float32 if kind == "f32" else np.float16)
    if kind.endswith("_k"):
        return k_quants.quantized(values, kind)
    return gguf.quants.quantize(np.ascontiguousarray(values), gguf.GGMLQuantizationType[kind.upper()])


def _kinds(shape: Architecture, quantization: str, generation: Generation) -> dict[str, str]:
    found = {}
    for matrix, kind in tensor_types(shape, quantization, generation):
        place = f"{matrix.role}.weight" if matrix.layer is None else f"blk.{matrix.layer}.{matrix.role}.weight"
        found[place] = kind
    return found
