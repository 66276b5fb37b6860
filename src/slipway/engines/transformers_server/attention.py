"""Attention of many sequences at once, plugged into the library's models under a name of its own.

A step's tokens lie in one row of the model's input, [1, tokens]: single tokens of the answering sequences, and chunks
of prompts. Here each finds the keys and values of its own sequence in the slots of the cache.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from slipway.engines.transformers_server.layout import Answers, Prompt

NAME = "slipway"
NOT_OURS = (
    "computes its attention in a way of its own in this library, so that sequences cannot be batched:"
    " use vLLM or llama.cpp for it"
)
_HIDDEN = float("-inf")


class AnswerRun:
    """Rows that attend together, one token each."""

    def __init__(self, answers: Answers, positions: torch.Tensor) -> None:
        """``positions``: of all the step's tokens."""
        self.rows = slice(answers.first, answers.first + len(answers.members))
        self.slots = slice(answers.slots.start, answers.slots.stop)
        self.length = answers.length
        self._positions = positions[self.rows]
        self._masks: dict[int | None, torch.Tensor] = {}
        self.spread: torch.Tensor | None = None  # row of each slot
        self.gather: torch.Tensor | None = None  # slot of each row
        if not answers.dense:
            gather = [slot - answers.slots.start for slot in answers.members]
            spread = [0] * len(answers.slots)
            for row, slot in enumerate(gather):
                spread[slot] = row
            self.gather = torch.tensor(gather, device=positions.device)
            self.spread = torch.tensor(spread, device=positions.device)
            self._positions = self._positions[self.spread]

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What to add to the scores, [slots, 1, 1, length]."""
        if window not in self._masks:
            self._masks[window] = _mask(self._positions[:, None], self.length, window, dtype)[:, None, None]
        return self._masks[window]

    def attend(self, query: torch.Tensor, cached: tuple[torch.Tensor, torch.Tensor], how: "How") -> torch.Tensor:
        """Query [heads, rows, size] to [rows, heads, size]. Heads that share keys are queries of one head here."""
        keys, values = (each[self.slots, : self.length].transpose(1, 2) for each in cached)
        rows = query.transpose(0, 1)
        if self.spread is not None:
            rows = rows[self.spread]
        grouped = rows.reshape(rows.shape[0], keys.shape[1], -1, rows.shape[2])
        found = how.attend(grouped, keys, values, self.mask(how.window, query.dtype))
        found = found.reshape(found.shape[0], -1, found.shape[3])
        return found if self.gather is None else found[self.gather]


class PromptRun:
    """Rows that are a chunk of one prompt."""

    def __init__(self, prompt: Prompt, positions: torch.Tensor) -> None:
        self.rows = slice(prompt.first, prompt.first + prompt.count)
        self.slot = prompt.slot
        self.length = prompt.start + prompt.count
        self._first = prompt.start == 0
        self._positions = positions[self.rows]
        self._masks: dict[int | None, torch.Tensor] = {}

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
        """[rows, length]; None: plainly causal, from the first token on."""
        if self._first and (window is None or window >= self.length):
            return None
        if window not in self._masks:
            self._masks[window] = _mask(self._positions[:, None], self.length, window, dtype)
        return self._masks[window]

    def attend(self, query: torch.Tensor, cached: tuple[torch.Tensor, torch.Tensor], how: "How") -> torch.Tensor:
        keys, values = (each[self.slot, : self.length].transpose(0, 1)[None] for each in cached)
        groups = query.shape[0] // keys.shape[1]
        if groups > 1:
            keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        found = how.attend(query[None], keys, values, self.mask(how.window, query.dtype))
        return found[0].transpose(0, 1)


Run = AnswerRun | PromptRun


class How:
    """What a layer says about its attention."""

    def __init__(
        self, scaling: float | None, window: int | None, softcap: float | None, sinks: torch.Tensor | None
    ) -> None:
        self.window = window
        self._scaling = scaling
        self._softcap = softcap
        self._sinks = sinks

    def attend(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Without a mask it is causal. All are [batch, heads, tokens, size]."""
        if self._softcap is None and self._sinks is None:
            return scaled_dot_product_attention(
                query, keys, values, attn_mask=mask, is_causal=mask is None, scale=self._scaling
            )
        return self._plain(query, keys, values, mask)

    def _plain(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Capped scores (Gemma 2) and sinks (GPT-OSS), which the fused kernels do not have."""
        scores = query @ keys.transpose(2, 3) * (query.shape[-1] ** -0.5 if self._scaling is None else self._scaling)
        if self._softcap is not None:
            scores = torch.tanh(scores / self._softcap) * self._softcap
        if mask is None:
            count = query.shape[2]
            mask = _mask(torch.arange(count, device=query.device)[:, None], count, None, query.dtype)
        scores = scores + mask
        if self._sinks is not None:
            # One more column for each query, of which nothing is read; query heads are grouped as in the scores.
            sinks = self._sinks.reshape(1, scores.shape[1], -1, 1).expand(scores.shape[0], -1, scores.shape[2], -1)
            scores = torch.cat((scores, sinks.to(scores.dtype)), -1)
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        return weights[..., : keys.shape[2]] @ values


class Attention:
    """The function that the library's layers call. ``runs`` are set for every step."""

    def __init__(self) -> None:
        self.runs: tuple[Run, ...] = ()
        self.called = False

    def __call__(
        self,
        module: Any,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: object,
        **options: Any,
    ) -> tuple[torch.Tensor, None]:
        """Query [1, heads, tokens, size]; keys and values are the cache's. To [1, tokens, heads, size]."""
        self.called = True
        how = How(options.get("scaling"), options.get("sliding_window"), options.get("softcap"), options.get("s_aux"))
        if len(self.runs) == 1:
            return self.runs[0].attend(query[0], (keys, values), how)[None], None
        found = [run.attend(query[0, :, run.rows], (keys, values), how) for run in self.runs]
        return torch.cat(found)[None], None


def _mask(positions: torch.Tensor, length: int, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """Zeros where a token may look: at itself and before, within the window."""
    columns = torch.arange(length, device=positions.device)
    hidden = columns > positions
    if window is not None:
        hidden |= columns <= positions - window
    return torch.zeros(hidden.shape, dtype=dtype, device=positions.device).masked_fill_(hidden, _HIDDEN)
