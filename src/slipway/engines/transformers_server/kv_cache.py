"""The keys and values of all sequences: one tensor of slots a layer, written where each token belongs.

Models of the library write through ``update`` as through any cache of theirs, and get the whole tensors back;
``attention.py`` reads from them what the step's layout says.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache


class KvCache(Cache):  # type: ignore[misc]  # the library is typed Any here
    """Tensors of shape [slots, capacity, heads, head size], made when a layer first writes."""

    def __init__(self, slots: int, capacity: int) -> None:
        self.layers: list[Any] = []  # the library's own layers: none
        self.slots = slots
        self.capacity = capacity
        self.where = torch.empty(0, dtype=torch.long)  # of the step's tokens: slot * capacity + position
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the step's keys and values, [1, heads, tokens, head size]."""
        if layer not in self._keys:
            self._keys[layer], self._values[layer] = self._make(key), self._make(value)
        keys, values = self._keys[layer], self._values[layer]
        keys.view(-1, *keys.shape[2:]).index_copy_(0, self.where, key[0].transpose(0, 1))
        values.view(-1, *values.shape[2:]).index_copy_(0, self.where, value[0].transpose(0, 1))
        return keys, values

    def copy(self, source: int, target: int, tokens: int) -> None:
        """The first tokens of one slot into another."""
        for layer in (*self._keys.values(), *self._values.values()):
            layer[target, :tokens] = layer[source, :tokens]

    @property
    def token_bytes(self) -> int:
        """Of one token in one layer; 0 before the first step."""
        layers = [(self._keys[layer], self._values[layer]) for layer in self._keys]
        return max((sum(each[0, 0].nbytes for each in pair) for pair in layers), default=0)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions are given with every call; nothing may be derived from here."""
        return 0

    def _make(self, states: torch.Tensor) -> torch.Tensor:
        _, heads, _, size = states.shape
        # Zeros: what a mask hides still takes part in the products, and must be finite.
        return torch.zeros(self.slots, self.capacity, heads, size, dtype=states.dtype, device=states.device)
