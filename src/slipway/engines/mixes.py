"""Which type llama.cpp's quantizer gives each tensor of a mix such as Q4_K_M: the rules as data.

Sources: llama_tensor_get_type in llama.cpp's llama-quant.cpp; for GGUF files from before January 2024 and for GGML
files the same function at their time (the differences are in `_OLD_GGUF` and `_GGML`). Block sizes: formats.gguf_types.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from slipway.engines.shapes import Matrix, matrices, vector_parameters
from slipway.formats.gguf_types import TENSOR_TYPES
from slipway.types import Architecture

# Whether a rule holds for a layer out of so many.
Where = Callable[[int, int], bool]
Rule = tuple[str, Where]  # the type, where: the first that holds is taken


def _everywhere(layer: int, layers: int) -> bool:
    return True


def _more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth, and every third between: about half of the layers."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _first_eighth(layer: int, layers: int) -> bool:
    return layer < layers // 8


def _first_sixteenth(layer: int, layers: int) -> bool:
    return layer < layers // 16


def _first_two(layer: int, layers: int) -> bool:
    return layer < 2


def _first_four(layer: int, layers: int) -> bool:
    return layer < 4


class Generation(Enum):
    """When a file was quantized: the rules changed twice."""

    GGML = "ggml"  # until August 2023
    OLD_GGUF = "old_gguf"  # until January 2024
    GGUF = "gguf"


@dataclass(frozen=True, slots=True)
class Mix:
    """``base`` for every matrix but those that a rule names, and the output head."""

    base: str
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)


def _all(kind: str, *roles: str) -> dict[str, tuple[Rule, ...]]:
    return dict.fromkeys(roles, ((kind, _everywhere),))


def _half(kind: str) -> dict[str, tuple[Rule, ...]]:
    return dict.fromkeys(("attn_v", "ffn_down"), ((kind, _more_bits),))


_PLAIN = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "f16", "bf16", "f32")
_HEAVY = ("attn_v", "ffn_down", "attn_output")
_GGUF: dict[str, Mix] = {name: Mix(name) for name in _PLAIN} | {
    "q2_k": Mix("q2_k", _all("q3_k", *_HEAVY)),
    "q2_k_s": Mix("q2_k", {"ffn_down": (("q4_k", _first_eighth),)}),
    "q3_k_s": Mix("q3_k"),
    "q3_k_m": Mix(
        "q3_k",
        {
            "attn_v": (("q5_k", _first_two), ("q4_k", _everywhere)),
            "ffn_down": (("q5_k", _first_sixteenth), ("q4_k", _everywhere)),
            "attn_output": (("q4_k", _everywhere),),
        },
    ),
    "q3_k_l": Mix("q3_k", _all("q5_k", *_HEAVY)),
    "q4_k_s": Mix("q4_k", {"attn_v": (("q5_k", _first_four),), "ffn_down": (("q5_k", _first_eighth),)}),
    "q4_k_m": Mix("q4_k", _half("q6_k")),
    "q5_k_s": Mix("q5_k"),
    "q5_k_m": Mix("q5_k", _half("q6_k")),
    "q6_k": Mix("q6_k"),
}
_OLD_GGUF = _GGUF | {
    "q2_k": Mix("q2_k", _all("q3_k", *_HEAVY, "ffn_gate", "ffn_up")),
    "q3_k_m": Mix(
        "q3_k",
        dict.fromkeys(("attn_v", "ffn_down"), (("q5_k", _first_two), ("q4_k", _everywhere)))
        | _all("q4_k", "attn_output"),
    ),
    "q4_k_s": Mix("q4_k", dict.fromkeys(("attn_v", "ffn_down"), (("q5_k", _first_four),))),
}
_GGML = _GGUF | {
    "q2_k": Mix("q2_k", _all("q4_k", *_HEAVY)),
    "q3_k_m": Mix("q3_k", _all("q4_k", *_HEAVY)),
    "q4_k_s": Mix("q4_k"),
}
_MIXES = {Generation.GGML: _GGML, Generation.OLD_GGUF: _OLD_GGUF, Generation.GGUF: _GGUF}
# What a 256-block type becomes where a row is not a multiple of 256.
_FALLBACKS = {"q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
_BLOCKS = {kind.name: (kind.block, kind.size) for kind in TENSOR_TYPES.values()}


def mix_names() -> tuple[str, ...]:
    return tuple(_GGUF)


def mix_bytes(architecture: Architecture, quantization: str, generation: Generation) -> int:
    """Bytes of the tensors of a file. Raises KeyError for a mix that is not known here."""
    weights = sum(_stored(matrix, kind) for matrix, kind in tensor_types(architecture, quantization, generation))
    return weights + 4 * vector_parameters(architecture)


def tensor_types(architecture: Architecture, quantization: str, generation: Generation) -> Iterator[tuple[Matrix, str]]:
    """Every matrix with the type it is stored in. Raises KeyError for a mix that is not known here."""
    mix = _MIXES[generation][quantization.lower()]
    return ((matrix, tensor_type(architecture, matrix, mix, generation)) for matrix in matrices(architecture))


def tensor_type(architecture: Architecture, matrix: Matrix, mix: Mix, generation: Generation) -> str:
    """The type the quantizer stores one matrix in."""
    kind = mix.base
    if mix.base.startswith("f") or mix.base == "bf16":
        return kind
    if matrix.role == "output" or (matrix.role == "token_embd" and architecture.tied):
        return _fitting(_head_type(mix, generation), matrix.columns)
    if matrix.layer is not None:
        kind = _layer_type(architecture, matrix.role, matrix.layer, mix)
    if matrix.role == "attn_v":
        kind = _value_type(architecture, mix, kind, generation)
    return _fitting(kind, matrix.columns)


def _layer_type(architecture: Architecture, role: str, layer: int, mix: Mix) -> str:
    for kind, where in mix.rules.get(role, ()):
        if where(layer, architecture.layers):
            return kind
    return mix.base


def _value_type(architecture: Architecture, mix: Mix, kind: str, generation: Generation) -> str:
    """attn_v is small where heads share it, so it gets more bits there: with 80 layers ("70B"), and in today's Q2_K."""
    if architecture.layers == 80 and kind in {"q3_k", "q4_k"}:
        return "q5_k"
    shared = architecture.heads // architecture.kv_heads >= 4
    if shared and mix.base == "q2_k" and generation is Generation.GGUF:
        return "q5_k" if architecture.layers == 80 else "q4_k"
    return kind


def _head_type(mix: Mix, generation: Generation) -> str:
    if mix.base == "q8_0":
        return "q8_0"
    if generation is Generation.GGML and not mix.base.endswith("_k"):
        return mix.base
    return "q6_k"


def _fitting(kind: str, columns: int) -> str:
    while columns % _BLOCKS[kind][0]:
        kind = _FALLBACKS.get(kind, "f16")
    return kind


def _stored(matrix: Matrix, kind: str) -> int:
    block, size = _BLOCKS[kind]
    return matrix.parameters // block * size
