"""A tokenizer of bytes and a generator that says what a test wrote, on a thread of its own as the real one does."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from slipway.engines.transformers_server.words import Asked, Emit, Ending, Progress, Token

END, PAD, OPENING, CLOSING = 256, 257, 258, 259
WORDS = {260: "中文", 261: " Paris", 262: "</tool", 263: "STOP"}  # tokens of several characters
SPECIAL = {END: "<|end|>", PAD: "<|pad|>", OPENING: "<|user|>", CLOSING: "<|assistant|>"}


@dataclass(frozen=True)
class ByteTokenizer:
    """A token for every byte: characters beyond ASCII are split over tokens."""

    drops_first_space: bool = False
    special: frozenset[int] = frozenset(SPECIAL)
    ends: frozenset[int] = frozenset({END})
    names: dict[str, str] = field(default_factory=lambda: {"eos_token": SPECIAL[END]})

    @property
    def bytes_of(self) -> tuple[bytes, ...]:
        return BYTES

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        ids: list[int] = []
        while text:
            token = next((number for number, word in SPECIAL.items() if text.startswith(word)), None)
            if token is None:
                ids += text[0].encode()
                text = text[1:]
            else:
                ids.append(token)
                text = text[len(SPECIAL[token]) :]
        return ids

    def token_id(self, token: str) -> int | None:
        return next((number for number, word in SPECIAL.items() if word == token), None)


BYTES = (
    *(bytes([byte]) for byte in range(256)),
    *(text.encode() for text in SPECIAL.values()),
    *(text.encode() for text in WORDS.values()),
)

Script = Callable[[Asked], Iterable[Progress]]


def say(text: str, ending: Ending = Ending.STOP, cached: int = 0) -> list[Progress]:
    """One token a step, each byte a token; then the end token, if it ends so."""
    steps = [Progress([Token(byte, -0.5, ((byte, -0.5), (33, -2.0)))], cached_tokens=cached) for byte in text.encode()]
    if ending is Ending.STOP:
        return [*steps, Progress([Token(END, -0.1)], ending)]
    last = steps.pop() if steps else Progress([])
    return [*steps, Progress(last.tokens, ending, cached_tokens=cached)]


def say_tokens(*tokens: int) -> list[Progress]:
    return [*(Progress([Token(token, -0.5)]) for token in tokens), Progress([Token(END, -0.1)], Ending.STOP)]


def without_end(progress: Iterable[Progress]) -> Iterator[Progress]:
    """For ever the same: until it is cancelled."""
    return itertools.cycle(list(progress)[:-1])


class NoGenerator:
    """For what must be refused before anything is generated."""

    context_length = 1000

    def submit(self, asked: Asked, emit: Emit) -> int:
        raise AssertionError("nothing should be generated")

    def cancel(self, number: int) -> None:
        raise AssertionError("nothing should be generated")

    def close(self) -> None: ...


class FakeGenerator:
    """Every step advances every sequence. ``step_s`` is how long a step takes; ``pause`` holds all of them."""

    def __init__(self, script: Script, context_length: int = 1000, step_s: float = 0.0) -> None:
        self.context_length = context_length
        self.asked: list[Asked] = []
        self.cancelled: dict[int, float] = {}
        self.steps = 0
        self._script = script
        self._step_s = step_s
        self._running: dict[int, tuple[Iterator[Progress], Emit, int]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._paused = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, asked: Asked, emit: Emit) -> int:
        if asked.sampling.grammar == "bad":
            raise ValueError("the grammar is bad")
        with self._changed:
            number = len(self.asked)
            self.asked.append(asked)
            self._running[number] = (iter(self._script(asked)), emit, asked.sampling.max_tokens)
            self._changed.notify()
        return number

    def cancel(self, number: int) -> None:
        with self._changed:
            if self._running.pop(number, None) is not None:
                self.cancelled[number] = time.monotonic()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._running.clear()
            self._changed.notify()
        self._thread.join(5)

    @property
    def idle(self) -> bool:
        return not self._running

    def pause(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._running and not self._paused))
                if self._closed:
                    return
                self.steps += 1
                for number in list(self._running):
                    self._step(number)
            if self._step_s:
                time.sleep(self._step_s)

    def _step(self, number: int) -> None:
        answer, emit, left = self._running[number]
        progress = next(answer)
        if left <= len(progress.tokens) and progress.ending is None:
            progress = Progress(progress.tokens, Ending.LENGTH, cached_tokens=progress.cached_tokens)
        if progress.ending is None:
            self._running[number] = (answer, emit, left - len(progress.tokens))
        else:
            del self._running[number]
        emit(progress)
