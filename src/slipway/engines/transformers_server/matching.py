"""Grammars while they are matched: which tokens may come next. llguidance does the work."""

from pathlib import Path
from typing import Any

import numpy
import torch


class Matcher:
    """One sequence's place in its grammar."""

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        """Raises ValueError if the grammar is not one."""
        self._matcher = matcher
        self._mask = numpy.zeros(-(-vocabulary // 32), dtype=numpy.int32)
        if matcher.is_error():
            raise ValueError(f"the grammar cannot be used: {_first_line(matcher.get_error())}")

    def mask(self) -> Any:
        """Bits, 32 tokens an int32, of what may come next. Raises RuntimeError if the grammar is too complex."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self._matcher.is_error():
            raise RuntimeError(_first_line(self._matcher.get_error()))
        return self._mask

    def take(self, token: int) -> bool:
        """Go on by a token that the mask allowed; True if nothing but an end may follow."""
        self._matcher.consume_token(token)
        if self._matcher.is_error():
            raise RuntimeError(_first_line(self._matcher.get_error()))
        return bool(self._matcher.is_stopped())


class Grammars:
    """Makes matchers. The vocabulary is read when the first grammar comes: a second for a large one."""

    def __init__(self, directory: Path, vocabulary: int, ends: frozenset[int]) -> None:
        self._directory = directory
        self._vocabulary = vocabulary
        self._ends = sorted(ends)
        self._tokenizer: Any = None

    def matcher(self, grammar: str) -> Matcher:
        """Called on the submitter's thread; compiling leaves the interpreter free. Raises ValueError."""
        from llguidance import LLMatcher  # only where a grammar is asked for

        if self._tokenizer is None:
            self._tokenizer = self._read()
        return Matcher(LLMatcher(self._tokenizer, grammar, log_level=0), self._vocabulary)

    def _read(self) -> Any:
        from llguidance.hf import from_tokenizer
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self._directory, trust_remote_code=False, local_files_only=True)
        return from_tokenizer(tokenizer, n_vocab=self._vocabulary, eos_token=self._ends or None)


def forbidden(masks: list[Any], vocabulary: int) -> torch.Tensor:
    """[rows, vocabulary], True where a token may not come."""
    bits = numpy.unpackbits(numpy.stack(masks).view(numpy.uint8), axis=1, count=vocabulary, bitorder="little")
    return torch.from_numpy(bits == 0)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "no reason given")
