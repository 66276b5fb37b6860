"""Tokens as bytes, and bytes as text: what the HTTP side needs of a tokenizer, and detokenising as tokens come.

A token of a byte-level or SentencePiece vocabulary is a fixed sequence of bytes, so text is made by a UTF-8 decoder
that waits for the rest of a character: exact, and cheaper than decoding the last tokens again and again.
"""

import codecs
from collections.abc import Sequence
from typing import Protocol

_decoder = codecs.getincrementaldecoder("utf-8")


class Tokenizer(Protocol):
    """What is needed of the checkpoint's tokenizer; ``tokenizer.py`` reads the real one."""

    @property
    def bytes_of(self) -> Sequence[bytes]:
        """Every token's bytes, by id."""

    @property
    def special(self) -> frozenset[int]:
        """Tokens that are not part of an answer's text."""

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a sequence, as the checkpoint says."""

    @property
    def names(self) -> dict[str, str]:
        """Special tokens by role, for chat templates: bos_token, eos_token…"""

    @property
    def drops_first_space(self) -> bool:
        """SentencePiece's rule: a text's first token carries a blank that is not in the text."""

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        """Raises ValueError for a text that is not Unicode, such as a lone surrogate."""

    def token_id(self, token: str) -> int | None: ...


class Detokenizer:
    """The text of a growing sequence, character by character as far as they are complete."""

    __slots__ = ("_bytes_of", "_decode", "_drop_space", "_hidden")

    def __init__(self, tokenizer: Tokenizer, hidden: frozenset[int], *, starts_text: bool) -> None:
        """``starts_text``: the answer is a text of its own (chat), not the continuation of a prompt."""
        self._bytes_of = tokenizer.bytes_of
        self._hidden = hidden
        self._decode = _decoder("replace").decode
        self._drop_space = starts_text and tokenizer.drops_first_space

    def feed(self, token: int) -> str:
        """The text that ``token`` completes; at the end an incomplete character is left out."""
        if token in self._hidden:
            return ""
        data = self._bytes_of[token] if token < len(self._bytes_of) else b""
        if self._drop_space and data:
            self._drop_space = False
            data = data.removeprefix(b" ")
        return self._decode(data)


def text_of(tokenizer: Tokenizer, token: int) -> tuple[str, bytes]:
    """One token alone, for log probabilities: its text, where it is text, and its bytes."""
    data = tokenizer.bytes_of[token] if token < len(tokenizer.bytes_of) else b""
    return data.decode("utf-8", "replace"), data
