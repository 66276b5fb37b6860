"""What the next step computes: the policy of continuous batching. Lists and numbers, no torch, no threads.

Every sequence that is answering gets its one token a step; what is left of the step's tokens goes to prompts, in the
order they came, a prompt in several steps where it is long. A sequence is admitted when a slot is free, and a slot has
room for the whole context: so what runs always finishes, and nothing is ever taken back.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from slipway.engines.transformers_server.slots import Place, Slot, Slots


class Sequence(Protocol):
    """What the schedule needs to know of a sequence. ``tokens``: the prompt and what has been generated."""

    @property
    def tokens(self) -> list[int]: ...


Kind = TypeVar("Kind", bound=Sequence)


@dataclass(slots=True, eq=False)
class Running(Generic[Kind]):
    """A sequence in its slot."""

    sequence: Kind
    place: Place

    @property
    def slot(self) -> Slot:
        return self.place.slot


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Kind]):
    """``count`` tokens of a sequence from ``start`` on; ``last``: all there are, so that a token can be chosen."""

    running: Running[Kind]
    start: int
    count: int
    last: bool


@dataclass(frozen=True, slots=True)
class Step(Generic[Kind]):
    """Sequences that have just been admitted, whose cached tokens may have to be copied, and what to compute.

    Single tokens come first, ordered by slot.
    """

    admitted: tuple[Running[Kind], ...]
    chunks: tuple[Chunk[Kind], ...]


class Schedule(Generic[Kind]):
    """The owner of the waiting and the running."""

    def __init__(self, slots: Slots, most_tokens: int) -> None:
        """``most_tokens``: of one step; every slot gets at least one."""
        self._slots = slots
        self._most_tokens = most_tokens
        self._waiting: deque[Kind] = deque()
        self._running: dict[int, Running[Kind]] = {}

    def add(self, sequence: Kind) -> None:
        self._waiting.append(sequence)

    @property
    def running(self) -> tuple[Running[Kind], ...]:
        return tuple(self._running.values())

    @property
    def waiting(self) -> tuple[Kind, ...]:
        return tuple(self._waiting)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._running

    def drop(self, sequence: Kind) -> bool:
        """Take a sequence out, waiting or running; False if it is neither."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
            return True
        for running in self._running.values():
            if running.sequence is sequence:
                self.end(running)
                return True
        return False

    def end(self, running: Running[Kind], *, broken: bool = False) -> None:
        """Its slot is free. ``broken``: a step failed, and the slot's content is not to be reused."""
        if self._running.pop(running.slot.index, None) is None:
            return
        if broken:
            self._slots.forget(running.slot)
        else:
            self._slots.release(running.slot)

    def step(self) -> Step[Kind]:
        admitted = tuple(self._admit())
        left = self._most_tokens
        answering: list[Running[Kind]] = []
        reading: list[Running[Kind]] = []
        for running in self._running.values():
            rest = len(running.sequence.tokens) - running.slot.computed
            (answering if rest == 1 else reading).append(running)
        chunks = [_chunk(running, 1) for running in sorted(answering, key=lambda each: each.slot.index)]
        left = max(left - len(chunks), 0)
        for running in reading:
            if left == 0:
                break
            chunk = _chunk(running, left)
            left -= chunk.count
            chunks.append(chunk)
        return Step(admitted, tuple(chunks))

    def computed(self, step: Step[Kind]) -> None:
        """The step's keys and values are in the cache."""
        for chunk in step.chunks:
            chunk.running.slot.computed = chunk.start + chunk.count

    def _admit(self) -> list[Running[Kind]]:
        admitted: list[Running[Kind]] = []
        while self._waiting:
            place = self._slots.take(self._waiting[0].tokens)
            if place is None:
                break
            running = Running(self._waiting.popleft(), place)
            self._running[place.slot.index] = running
            admitted.append(running)
        return admitted


def _chunk(running: Running[Kind], most: int) -> Chunk[Kind]:
    start = running.slot.computed
    rest = len(running.sequence.tokens) - start
    return Chunk(running, start, min(rest, most), rest <= most)
