"""One step through the model: a layout's tokens in, the logits of the rows it keeps out."""

from typing import Any

import torch
from transformers import AttentionInterface

from slipway.engines.transformers_server.attention import NAME, NOT_OURS, AnswerRun, Attention, PromptRun
from slipway.engines.transformers_server.kv_cache import KvCache
from slipway.engines.transformers_server.layout import Answers, Layout

_RUN_BYTES = 256 * 1024  # of keys and values; reading them in vain takes about as long as beginning another run


def prepare_library() -> Attention:
    """Make our attention known to the library, before a model is loaded that names it."""
    attention = Attention()
    AttentionInterface.register(NAME, attention)
    return attention


class Forward:
    """Owns the model and the cache."""

    def __init__(self, model: Any, attention: Attention, slots: int, capacity: int) -> None:
        self.capacity = capacity
        self.device = torch.device(model.device)
        self._model = model
        self._attention = attention
        self._cache = KvCache(slots, capacity)

    def warm_up(self) -> None:
        """Make the cache now, so that memory too small for it is found before the first request.

        Raises SystemExit if the model's layers do not call our attention.
        """
        alone = Answers(0, (0,), min(32, self.capacity))
        self.run(Layout([0], [0], [0], [0], (alone,), ()))
        if not self._attention.called:
            raise SystemExit(f"slipway: {type(self._model).__name__} {NOT_OURS}")

    @property
    def spare_tokens(self) -> int:
        return _RUN_BYTES // max(self._cache.token_bytes, 1)

    def copy(self, source: int, target: int, tokens: int) -> None:
        with torch.inference_mode():
            self._cache.copy(source, target, tokens)

    def run(self, layout: Layout) -> torch.Tensor:
        """Logits [kept rows, vocabulary], as the model gives them."""
        with torch.inference_mode():
            return self._run(layout)

    def _run(self, layout: Layout) -> torch.Tensor:
        where = [slot * self.capacity + place for slot, place in zip(layout.slots, layout.positions, strict=True)]
        rows = torch.tensor([layout.ids, layout.positions, where]).to(self.device, non_blocking=True)
        positions = rows[1]
        self._cache.where = rows[2]
        self._attention.runs = (
            *(AnswerRun(each, positions) for each in layout.answers),
            *(PromptRun(each, positions) for each in layout.prompts),
        )
        kept: int | torch.Tensor = 0
        if len(layout.kept) < len(layout.ids):
            kept = torch.tensor(layout.kept or [0]).to(self.device, non_blocking=True)
        output = self._model(
            input_ids=rows[:1],
            position_ids=rows[1:2],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=kept,
        )
        logits: torch.Tensor = output.logits[0]
        return logits
