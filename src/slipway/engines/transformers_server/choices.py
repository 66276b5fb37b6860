"""One choice of an answer while it grows: tokens become text, stops cut it, log probabilities go with their text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from slipway.engines.transformers_server.stops import StopFinder
from slipway.engines.transformers_server.tokens import Detokenizer, Tokenizer
from slipway.engines.transformers_server.words import Ending, Progress, Token

STOP: Final = "stop"
LENGTH: Final = "length"


@dataclass(frozen=True, slots=True)
class Piece:
    """What a step added. ``tokens`` only where log probabilities are wanted: those whose text is given out, each with
    the place of its first character in the choice's text."""

    text: str
    tokens: Sequence[tuple[Token, int]] = ()
    finish: str | None = None


class GenerationFailed(Exception):
    """The generator could not finish a sequence; the text is for the log."""


@dataclass(slots=True)
class Choice:
    """``ends``: tokens that end it and are no text; ``finish`` is set with the last piece."""

    index: int
    detokenizer: Detokenizer
    stops: StopFinder
    ends: frozenset[int]
    with_logprobs: bool = False
    finish: str | None = None
    completion_tokens: int = 0
    cached_tokens: int = 0
    logprob: float = 0.0  # of all tokens together, where the generator tells them
    _made: int = 0  # characters, also of those held back
    _shown: int = 0
    _held: list[tuple[Token, int]] = field(default_factory=list)

    def take(self, progress: Progress) -> Piece:
        """Raises GenerationFailed if the sequence has ended before its time."""
        if progress.ending in {Ending.FAILED, Ending.CANCELLED}:
            raise GenerationFailed(progress.error or "the sequence was cancelled")
        self.cached_tokens = max(self.cached_tokens, progress.cached_tokens)
        text = self._text(progress)
        if self.stops.found is not None:
            self.finish = STOP
        elif progress.ending is not None:
            self.finish = STOP if progress.ending is Ending.STOP else LENGTH
            text += self.stops.end()
        self._shown += len(text)
        return Piece(text, self._released() if self.with_logprobs else (), self.finish)

    def _text(self, progress: Progress) -> str:
        last = progress.tokens[-1] if progress.ending is Ending.STOP and progress.tokens else None
        text = ""
        for token in progress.tokens:
            self.completion_tokens += 1
            self.logprob += token.logprob or 0.0
            if token is last and token.id in self.ends:
                break
            made = self.detokenizer.feed(token.id)
            if self.with_logprobs:
                self._held.append((token, self._made))
            self._made += len(made)
            text += self.stops.feed(made)
            if self.stops.found is not None:
                break
        return text

    def _released(self) -> list[tuple[Token, int]]:
        """Tokens whose text, or whose first characters, are out. At a natural end that is all of them."""
        if self.finish is not None and self.stops.found is None:
            released, self._held = self._held, []
            return released
        count = sum(start < self._shown for _, start in self._held)
        released, self._held = self._held[:count], self._held[count:]
        return released


@dataclass(frozen=True, slots=True)
class ChoiceMaker:
    """Makes the choices of one request."""

    tokenizer: Tokenizer
    stops: Sequence[str]
    include_stop: bool
    ends: frozenset[int]
    hidden: frozenset[int]
    starts_text: bool
    with_logprobs: bool

    def make(self, index: int) -> Choice:
        return Choice(
            index,
            Detokenizer(self.tokenizer, self.hidden, starts_text=self.starts_text),
            StopFinder(self.stops, self.include_stop),
            self.ends,
            self.with_logprobs,
        )
