"""Which slot of the KV cache a sequence gets, and how much of its prompt is there already. Plain lists, no torch.

A slot keeps the tokens of the sequence that had it until another needs it, so that a prompt that begins alike starts
from there. ``schedule.py`` asks; ``kv_cache.py`` holds the tensors.
"""

from dataclasses import dataclass, field

LEAST_REUSED = 16  # tokens; what begins alike for less is computed anew
_WORTH_WAITING = 64  # tokens that another sequence is computing right now, and that need not be computed twice
_PIECE = 512


@dataclass(slots=True, eq=False)
class Slot:
    """``tokens``: its sequence's own list, growing with it; the first ``computed`` are in the cache."""

    index: int
    tokens: list[int] = field(default_factory=list)
    computed: int = 0
    busy: bool = False
    freed: int = 0  # the turn in which it became free


@dataclass(frozen=True, slots=True)
class Place:
    """``cached`` tokens of the prompt need no computing. ``source``: the slot to copy them from, if not this."""

    slot: Slot
    cached: int = 0
    source: Slot | None = None


class Slots:
    """The owner of all slots."""

    def __init__(self, count: int) -> None:
        self._all = [Slot(index) for index in range(count)]
        self._turn = 0

    def take(self, prompt: list[int]) -> Place | None:
        """The best place for a prompt, now busy. None: wait, for a slot or for a sequence with the same beginning.

        One token of the prompt at least is left to compute: its logits give the first token of the answer.
        """
        free = [slot for slot in self._all if not slot.busy]
        if not free:
            return None
        alike = {slot.index: common_prefix(prompt, slot.tokens, len(prompt) - 1) for slot in self._all if slot.tokens}
        ready = {index: min(count, self._all[index].computed) for index, count in alike.items()}
        best = max(ready, key=lambda index: (ready[index], not self._all[index].busy), default=None)
        cached = ready[best] if best is not None else 0
        if self._coming(alike, cached):
            return None
        if best is None or cached < LEAST_REUSED:
            return self._begin(Place(_longest_free(free)), prompt)
        return self._begin(_place(self._all[best], cached, free), prompt)

    def release(self, slot: Slot) -> None:
        """Its sequence has ended; what is computed stays for prompts that begin alike."""
        self._turn += 1
        slot.busy, slot.freed = False, self._turn
        slot.tokens = slot.tokens[: slot.computed]

    def forget(self, slot: Slot) -> None:
        """As ``release``, but nothing in it can be trusted."""
        slot.computed = 0
        self.release(slot)

    def _coming(self, alike: dict[int, int], cached: int) -> bool:
        """Whether a busy slot is about to hold more of the prompt; what a free one lacks nobody computes."""
        return any(
            self._all[index].busy and count >= cached + _WORTH_WAITING and self._all[index].computed < count
            for index, count in alike.items()
        )

    def _begin(self, place: Place, prompt: list[int]) -> Place:
        place.slot.busy = True
        place.slot.tokens, place.slot.computed = prompt, place.cached
        return place


def _place(best: Slot, cached: int, free: list[Slot]) -> Place:
    """In the slot itself where it is free and mostly this beginning; else a copy, so that both stay."""
    others = [slot for slot in free if slot is not best]
    if not best.busy and (cached * 2 >= best.computed or not others):
        return Place(best, cached)
    return Place(_longest_free(others), cached, best)


def _longest_free(free: list[Slot]) -> Slot:
    """Never used before used long ago: low indices stay together, and a step's slots are few runs in memory."""
    return min(free, key=lambda slot: (slot.freed, slot.index))


def common_prefix(one: list[int], other: list[int], most: int) -> int:
    """How many tokens two lists begin alike with, ``most`` at most. Whole pieces are compared at C's speed."""
    most = min(most, len(one), len(other))
    start = 0
    while start + _PIECE <= most and one[start : start + _PIECE] == other[start : start + _PIECE]:
        start += _PIECE
    while start < most and one[start] == other[start]:
        start += 1
    return start
