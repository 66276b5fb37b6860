"""How a step's tokens lie in memory: which rows, at which positions, and which of them attend together. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.engines.transformers_server.schedule import Chunk, Kind, Step

_ROUND = 32  # tokens; lengths are rounded up to it, so that few shapes occur


@dataclass(frozen=True, slots=True)
class Answers:
    """Single tokens of sequences whose slots lie together: rows ``first`` on attend to ``slots``, ``length`` deep.

    ``members`` are the slots that have a row, in the rows' order. Slots between them are computed in vain.
    """

    first: int
    members: tuple[int, ...]
    length: int

    @property
    def slots(self) -> range:
        return range(self.members[0], self.members[-1] + 1)

    @property
    def dense(self) -> bool:
        return len(self.slots) == len(self.members)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Rows ``first`` on are ``count`` tokens of one sequence from position ``start`` on."""

    first: int
    count: int
    slot: int
    start: int


@dataclass(frozen=True, slots=True)
class Layout:
    """``ids``, ``positions`` and ``slots`` have one entry a row; ``kept`` are the rows whose logits are wanted."""

    ids: list[int]
    positions: list[int]
    slots: list[int]
    kept: list[int]
    answers: tuple[Answers, ...]
    prompts: tuple[Prompt, ...]


def lay_out(step: Step[Kind], capacity: int, spare_tokens: int) -> Layout:
    """``capacity``: of a slot, in tokens. ``spare_tokens``: computed in vain rather than to begin another run."""
    ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    kept, single, prompts = [], [], []
    for chunk in step.chunks:
        slot, first = chunk.running.slot.index, len(ids)
        if chunk.count == 1:
            single.append((first, slot, chunk.start + 1))
        else:
            prompts.append(Prompt(first, chunk.count, slot, chunk.start))
        ids += _tokens(chunk)
        positions += range(chunk.start, chunk.start + chunk.count)
        slots += [slot] * chunk.count
        if chunk.last:
            kept.append(len(ids) - 1)
    return Layout(ids, positions, slots, kept, tuple(_runs(single, capacity, spare_tokens)), tuple(prompts))


def _tokens(chunk: Chunk[Kind]) -> list[int]:
    tokens = chunk.running.sequence.tokens
    return tokens[-1:] if chunk.start + 1 == len(tokens) else tokens[chunk.start : chunk.start + chunk.count]


def _runs(single: list[tuple[int, int, int]], capacity: int, spare_tokens: int) -> Iterator[Answers]:
    """Neighbours attend together while that costs no more than ``spare_tokens`` each time."""
    members: list[int] = []
    first = longest = 0
    for row, slot, length in single:
        if members and row == first + len(members) and slot > members[-1]:
            apart = (members[-1] + 1 - members[0]) * longest + length
            together = (slot + 1 - members[0]) * max(longest, length)
            if together - apart <= spare_tokens:
                members.append(slot)
                longest = max(longest, length)
                continue
        if members:
            yield Answers(first, tuple(members), _rounded(longest, capacity))
        first, members, longest = row, [slot], length
    if members:
        yield Answers(first, tuple(members), _rounded(longest, capacity))


def _rounded(length: int, capacity: int) -> int:
    return min(-(-length // _ROUND) * _ROUND, capacity)
