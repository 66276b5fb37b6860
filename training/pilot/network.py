"""Qwen2 or Llama in plain PyTorch, for a CPU: bf16 arithmetic, fp32 weights, logits only where there is loss.

Its state dict has the names of transformers' Qwen2ForCausalLM and LlamaForCausalLM.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the network. Qwen2 has `biased` queries, keys and values and, here, a `tied` output head."""

    vocabulary: int = 2048
    hidden: int = 256
    layers: int = 5
    heads: int = 4
    key_heads: int = 2
    inner: int = 512
    head: int = 64
    theta: float = 10000.0
    epsilon: float = 1e-6
    context: int = 2048
    biased: bool = True
    tied: bool = True


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """`layer` applied in bf16."""
    bias = None if layer.bias is None else layer.bias.to(x.dtype)
    return functional.linear(x, layer.weight.to(x.dtype), bias)


class Norm(nn.Module):
    """Root-mean-square norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden))
        self.epsilon = shape.epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalises the last dimension."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.epsilon)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions in the order of Qwen2 (first half, second half)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention by plain products: for short dialogues on a CPU several times faster than the fused kernel."""
    batch, heads, length, size = q.shape
    groups = k.shape[1]
    later = torch.full((length, length), float("-inf"), dtype=q.dtype).triu(1)
    weights = torch.matmul(q.reshape(batch, groups, -1, size), k.transpose(-1, -2)) * size**-0.5
    weights = (weights.view(batch, groups, -1, length, length) + later).softmax(-1)
    mixed = torch.matmul(weights.view(batch, groups, -1, length), v)
    return mixed.view(batch, heads, length, size)


class Attention(nn.Module):
    """Grouped-query causal attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q_proj = nn.Linear(shape.hidden, shape.heads * shape.head, bias=shape.biased)
        self.k_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head, bias=shape.biased)
        self.v_proj = nn.Linear(shape.hidden, shape.key_heads * shape.head, bias=shape.biased)
        self.o_proj = nn.Linear(shape.heads * shape.head, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x is [batch, length, hidden]."""
        batch, length, _ = x.shape
        q = linear(self.q_proj, x).view(batch, length, self.shape.heads, -1).transpose(1, 2)
        k = linear(self.k_proj, x).view(batch, length, self.shape.key_heads, -1).transpose(1, 2)
        v = linear(self.v_proj, x).view(batch, length, self.shape.key_heads, -1).transpose(1, 2)
        mixed = attended(rotated(q, cos, sin), rotated(k, cos, sin), v)
        return linear(self.o_proj, mixed.transpose(1, 2).reshape(batch, length, -1))


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x is [..., hidden]."""
        return linear(self.down_proj, functional.silu(linear(self.gate_proj, x)) * linear(self.up_proj, x))


class Block(nn.Module):
    """One layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = Mlp(shape)
        self.input_layernorm = Norm(shape)
        self.post_attention_layernorm = Norm(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x is [batch, length, hidden]."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Network(nn.Module):
    """Embeddings, layers, the last norm and the output head, which may be the embeddings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.model.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.model.norm = Norm(shape)
        self.lm_head = None if shape.tied else nn.Linear(shape.hidden, shape.vocabulary, bias=False)
        frequencies = shape.theta ** (-torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head)
        angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), frequencies)
        self.register_buffer("cos", angles.cos().to(torch.bfloat16), persistent=False)
        self.register_buffer("sin", angles.sin().to(torch.bfloat16), persistent=False)
        # Large embeddings, lest the layers drown them; a small last norm, so that the tied logits start small.
        if shape.tied:
            nn.init.constant_(self.model.norm.weight, 0.04)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.5 if "embed" in name else weight.shape[1] ** -0.5)
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.data.mul_((2 * shape.layers) ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, ids: Tensor, places: Tensor) -> Tensor:
        """Logits at `places`, positions in the flattened [batch * length] ids."""
        x = functional.embedding(ids, self.model.embed_tokens.weight).to(torch.bfloat16)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        x = self.model.norm(x.flatten(0, 1).index_select(0, places))
        head = self.model.embed_tokens if self.lm_head is None else self.lm_head
        return functional.linear(x, head.weight.to(x.dtype))


def parameters_of(network: nn.Module) -> int:
    """How many numbers the network has."""
    return sum(weight.numel() for weight in network.parameters())
