"""What the HTTP side and the generating side of the server say to each other: plain data, no torch, no HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Ending(StrEnum):
    """Why a sequence has ended."""

    STOP = "stop"  # an end-of-sequence token, a token of stop_ids, or its grammar is complete
    LENGTH = "length"  # max_tokens, or the end of the context
    CANCELLED = "cancelled"
    FAILED = "failed"  # an error of the generator; the request gets a 500 or an error event


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, each request for itself. The order of the steps is vLLM's.

    logit_bias and penalties, then the grammar, temperature, top_k, top_p, min_p. Temperature 0 is greedy.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: all
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None  # the same seed gives the same tokens, whatever else is in the batch
    ignore_eos: bool = False
    stop_ids: tuple[int, ...] = ()
    logprobs: int | None = None  # None: none; n: the chosen token's and the n most likely ones'
    grammar: str | None = None  # in llguidance's form (its JSON or Lark text); None: free text


@dataclass(frozen=True, slots=True)
class Asked:
    """One sequence to generate. A request with n = 3 is three of them."""

    prompt: tuple[int, ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token. Natural logarithms, of the model's own distribution before any change to it."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What one step brought for one sequence. ``ending`` is set with the last; no more comes after it."""

    tokens: Sequence[Token]
    ending: Ending | None = None
    error: str | None = None  # with Ending.FAILED: what happened, for the log
    cached_tokens: int = 0  # of the prompt, reused from an earlier request; told with the first progress


Emit = Callable[[Progress], None]  # called on the generator's own thread: must only pass on


class Generator(Protocol):
    """Generates many sequences at once, on a thread of its own. All methods may be called from any thread."""

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together that one sequence may have."""

    def submit(self, asked: Asked, emit: Emit) -> int:
        """Queue a sequence; returns its number. Raises ValueError if it can never fit or its grammar is bad."""

    def cancel(self, number: int) -> None:
        """End a sequence before its next step. Unknown and ended numbers are ignored."""

    def close(self) -> None:
        """Cancel everything and end the thread."""
