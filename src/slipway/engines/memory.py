"""Memory terms that engines share: the KV cache, a transformer block's widest intermediate results, logits."""

from slipway.types import Architecture, Demand, MemoryTerm, in_gib

MIB = 1024**2
GIB = 1024**3


def kv_cache_term(architecture: Architecture, demand: Demand, multiple: int = 1) -> MemoryTerm:
    """Keys and values in 16 bits for every token of every request; a request's tokens padded to ``multiple``."""
    tokens = -(-demand.context_length // multiple) * multiple
    per_token = 2 * architecture.layers * architecture.kv_heads * architecture.head_size * 2
    detail = (
        f"2 × {architecture.layers} layers × {architecture.kv_heads} heads × {architecture.head_size} × 2 bytes "
        f"× {tokens} tokens × {demand.parallel} requests"
    )
    return MemoryTerm("kv_cache", per_token * tokens * demand.parallel, detail)


def torch_activations_term(architecture: Architecture, tokens: int, parallel: int) -> MemoryTerm:
    """The widest moment of a forward pass in 16 bits, of ``tokens`` at once, and the logits in float32.

    In the block's MLP the residual, the normed input, gate and up together and their product live at the same time;
    sampling keeps the logits and one sorted or softmaxed copy of them.
    """
    width = 2 * architecture.hidden + 3 * architecture.intermediate
    logits = 2 * 4 * parallel * architecture.vocab
    detail = (
        f"{tokens} tokens × (2 × {architecture.hidden} + 3 × {architecture.intermediate}) × 2 bytes "
        f"+ logits 2 × {parallel} × {architecture.vocab} × 4 bytes"
    )
    return MemoryTerm("activations", 2 * tokens * width + logits, detail)


def overhead_term(*parts: tuple[str, int]) -> MemoryTerm:
    """What the process itself takes, as named parts."""
    detail = " + ".join(f"{name} {in_gib(count)}" for name, count in parts)
    return MemoryTerm("overhead", sum(count for _, count in parts), detail)
