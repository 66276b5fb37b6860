"""The tensors of a decoder, from its architecture: names as GGUF's, so that each format can say how it stores them."""

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.types import Architecture

# Layers, hidden, heads, intermediate by billions: Qwen1.5's, whose caches and vocabulary are on the large side.
_TYPICAL = {
    0.5: (24, 1024, 16, 2816),
    1.8: (24, 2048, 16, 5504),
    4.0: (40, 2560, 20, 6912),
    7.0: (32, 4096, 32, 11008),
    14.0: (40, 5120, 40, 13696),
    32.0: (64, 5120, 40, 27392),
    72.0: (80, 8192, 64, 24576),
    110.0: (80, 8192, 64, 49152),
}
_TYPICAL_VOCABULARY = 152064


def typical(billions: float) -> Architecture:
    """A shape for a model of which only the size is known: of the next larger size, so that it is not underrated."""
    size = min((each for each in _TYPICAL if each >= billions), default=max(_TYPICAL))
    layers, hidden, heads, intermediate = _TYPICAL[size]
    return Architecture("unknown", layers, hidden, heads, heads, intermediate, _TYPICAL_VOCABULARY)


@dataclass(frozen=True, slots=True)
class Matrix:
    """One weight matrix: ``rows`` outputs of ``columns`` inputs each. ``layer`` is None outside of the layers."""

    role: str
    rows: int
    columns: int
    layer: int | None = None

    @property
    def parameters(self) -> int:
        return self.rows * self.columns


def matrices(architecture: Architecture) -> Iterator[Matrix]:
    """Every weight matrix of the decoder; the output head only where it is not the embedding table."""
    hidden, width = architecture.hidden, architecture.intermediate
    queries = architecture.heads * architecture.head_size
    keys = architecture.kv_heads * architecture.head_size
    yield Matrix("token_embd", architecture.vocab, hidden)
    if not architecture.tied:
        yield Matrix("output", architecture.vocab, hidden)
    for layer in range(architecture.layers):
        yield Matrix("attn_q", queries, hidden, layer)
        yield Matrix("attn_k", keys, hidden, layer)
        yield Matrix("attn_v", keys, hidden, layer)
        yield Matrix("attn_output", hidden, queries, layer)
        yield Matrix("ffn_gate", width, hidden, layer)
        yield Matrix("ffn_up", width, hidden, layer)
        yield Matrix("ffn_down", hidden, width, layer)


def vector_parameters(architecture: Architecture) -> int:
    """Norm weights (two a layer and the last) and the biases of q, k and v, which no format quantizes."""
    norms = (2 * architecture.layers + 1) * architecture.hidden
    biases = (architecture.heads + 2 * architecture.kv_heads) * architecture.head_size * architecture.layers
    return norms + (biases if architecture.qkv_bias else 0)


def parameters(architecture: Architecture) -> int:
    """All parameters, as a model's card counts them, what the columns do not describe included."""
    decoder = sum(matrix.parameters for matrix in matrices(architecture))
    return decoder + vector_parameters(architecture) + architecture.extra_parameters
