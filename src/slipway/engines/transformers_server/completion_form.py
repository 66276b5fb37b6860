"""The shapes of a completion's answer: text_completion, whole and streamed, several prompts in one."""

from collections.abc import Sequence
from json.encoder import encode_basestring as quote
from typing import Any

from slipway.engines.transformers_server.chat_form import at_least
from slipway.engines.transformers_server.choices import Choice, Piece
from slipway.engines.transformers_server.events import Chunks, Head, dumps, usage
from slipway.engines.transformers_server.tokens import Tokenizer, text_of
from slipway.engines.transformers_server.words import Token


class WholeText:
    """One JSON object at the end. Of ``best_of`` choices for each prompt the ``n`` likeliest by token are given."""

    def __init__(self, head: Head, prompts: Sequence[int], echoes: Sequence[str], n: int, tokenizer: Tokenizer) -> None:
        """``prompts``: tokens of each; ``echoes``: the text each answer begins with."""
        self._head = head
        self._prompts = prompts
        self._echoes = echoes
        self._n = n
        self._tokenizer = tokenizer
        self._texts: dict[int, list[str]] = {}
        self._logs: dict[int, list[tuple[Token, int]]] = {}

    def take(self, choice: Choice, piece: Piece) -> bytes:
        self._texts.setdefault(choice.index, []).append(piece.text)
        self._logs.setdefault(choice.index, []).extend(piece.tokens)
        return b""

    def end(self, choices: Sequence[Choice]) -> bytes:
        best_of = len(choices) // len(self._prompts)
        given: list[dict[str, Any]] = []
        for place, echo in enumerate(self._echoes):
            own = choices[place * best_of : (place + 1) * best_of]
            if best_of > self._n:
                own = sorted(own, key=_likelihood, reverse=True)[: self._n]
            given += [self._choice(choice, len(given) + number, echo) for number, choice in enumerate(own)]
        body = {**self._head.as_object(), "choices": given, "usage": usage(self._prompts, choices)}
        return dumps(body).encode()

    def _choice(self, choice: Choice, index: int, echo: str) -> dict[str, Any]:
        logs = self._logs.get(choice.index, [])
        return {
            "index": index,
            "text": echo + "".join(self._texts.get(choice.index, [])),
            "logprobs": logprobs(self._tokenizer, logs, len(echo)) if choice.with_logprobs else None,
            "finish_reason": choice.finish,
        }


class StreamedText:
    """A chunk for each step; an echo comes with the first."""

    def __init__(self, chunks: Chunks, prompts: Sequence[int], echoes: Sequence[str], tokenizer: Tokenizer) -> None:
        """``prompts``: tokens of each; ``echoes``: for each choice, the text it begins with."""
        self._chunks = chunks
        self._prompts = prompts
        self._echoes = echoes
        self._tokenizer = tokenizer
        self._begun: set[int] = set()

    def take(self, choice: Choice, piece: Piece) -> bytes:
        text = piece.text
        if choice.index not in self._begun:
            self._begun.add(choice.index)
            text = self._echoes[choice.index] + text
        if not text and not piece.tokens and choice.finish is None:
            return b""
        offset = len(self._echoes[choice.index])
        logs = logprobs(self._tokenizer, piece.tokens, offset) if choice.with_logprobs else None
        return self._chunks.chunk(choice.index, f'"text":{quote(text)}', choice.finish, logs).encode()

    def end(self, choices: Sequence[Choice]) -> bytes:
        return self._chunks.end(self._prompts, choices)


def logprobs(tokenizer: Tokenizer, tokens: Sequence[tuple[Token, int]], offset: int) -> dict[str, Any]:
    """``offset``: characters before the choice's own text."""
    return {
        "tokens": [text_of(tokenizer, token.id)[0] for token, _ in tokens],
        "token_logprobs": [at_least(token.logprob) for token, _ in tokens],
        "top_logprobs": [_top(tokenizer, token) for token, _ in tokens],
        "text_offset": [offset + start for _, start in tokens],
    }


def _top(tokenizer: Tokenizer, token: Token) -> dict[str, float]:
    """By text; where two tokens have the same, the likelier stays."""
    top: dict[str, float] = {}
    for number, value in token.top:
        top.setdefault(text_of(tokenizer, number)[0], at_least(value))
    return top


def _likelihood(choice: Choice) -> float:
    return choice.logprob / max(1, choice.completion_tokens)
