"""The shapes of a chat's answer: chat.completion, and chat.completion.chunk as a stream."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring as quote
from typing import Any

from slipway.engines.transformers_server.choices import STOP, Choice, Piece
from slipway.engines.transformers_server.events import Chunks, Head, dumps, usage
from slipway.engines.transformers_server.hermes import Argued, Called, CallReader, Closed, Event, Said
from slipway.engines.transformers_server.tokens import Tokenizer, text_of
from slipway.engines.transformers_server.words import Token

_TOOL_CALLS = "tool_calls"


@dataclass(slots=True)
class ToolReading:
    """Reads the calls of one choice; without tools every text is said."""

    reader: CallReader | None
    parallel: bool
    calls: int = 0

    def read(self, choice: Choice, piece: Piece) -> list[Event]:
        """Sets the choice's ``finish`` after a call, where one is all that may be."""
        if self.reader is None:
            return [Said(piece.text)] if piece.text else []
        events = self.reader.feed(piece.text)
        if piece.finish is not None:
            events += self.reader.end()
        closed = next((place for place, event in enumerate(events) if isinstance(event, Closed)), None)
        if not self.parallel and closed is not None:
            choice.finish = choice.finish or STOP
            events = events[: closed + 1]
        self.calls += sum(isinstance(event, Called) for event in events)
        return events

    def finish(self, finish: str | None) -> str | None:
        return _TOOL_CALLS if finish == STOP and self.calls else finish


class WholeChat:
    """One JSON object at the end."""

    def __init__(self, head: Head, prompt_tokens: int, readings: Sequence[ToolReading], tokenizer: Tokenizer) -> None:
        self._head = head
        self._prompt_tokens = prompt_tokens
        self._readings = readings
        self._tokenizer = tokenizer
        self._messages = [_Message() for _ in readings]

    def take(self, choice: Choice, piece: Piece) -> bytes:
        message = self._messages[choice.index]
        message.logs.extend(piece.tokens)
        for event in self._readings[choice.index].read(choice, piece):
            message.add(event)
        return b""

    def end(self, choices: Sequence[Choice]) -> bytes:
        body = {
            **self._head.as_object(),
            "choices": [self._choice(choice) for choice in choices],
            "usage": usage([self._prompt_tokens], choices),
        }
        return dumps(body).encode()

    def _choice(self, choice: Choice) -> dict[str, Any]:
        message = self._messages[choice.index]
        return {
            "index": choice.index,
            "message": message.as_object(),
            "logprobs": logprobs(self._tokenizer, message.logs) if choice.with_logprobs else None,
            "finish_reason": self._readings[choice.index].finish(choice.finish),
        }


@dataclass(slots=True)
class _Message:
    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    logs: list[tuple[Token, int]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if isinstance(event, Said):
            self.texts.append(event.text)
        elif isinstance(event, Called):
            self.calls.append((event.name, []))
        elif isinstance(event, Argued):
            self.calls[event.number][1].append(event.text)

    def as_object(self) -> dict[str, Any]:
        text = "".join(self.texts)
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not self.calls else None}
        message["refusal"] = None
        if self.calls:
            message["tool_calls"] = [
                {"id": _call_id(), "type": "function", "function": {"name": name, "arguments": "".join(arguments)}}
                for name, arguments in self.calls
            ]
        return message


class StreamedChat:
    """A chunk for each step; the role comes with the first."""

    def __init__(
        self, chunks: Chunks, prompt_tokens: int, readings: Sequence[ToolReading], tokenizer: Tokenizer
    ) -> None:
        self._chunks = chunks
        self._prompt_tokens = prompt_tokens
        self._readings = readings
        self._tokenizer = tokenizer
        self._begun: set[int] = set()

    def take(self, choice: Choice, piece: Piece) -> bytes:
        index, write = choice.index, self._chunks.chunk
        reading = self._readings[index]
        out = []
        if index not in self._begun:
            self._begun.add(index)
            out.append(write(index, '"delta":{"role":"assistant","content":""}', None))
        deltas = [delta for delta in map(_delta, reading.read(choice, piece)) if delta]
        logs = logprobs(self._tokenizer, piece.tokens) if piece.tokens else None
        if logs is not None and not deltas:
            deltas = ['"delta":{}']
        for delta in deltas:
            out.append(write(index, delta, None, logs))
            logs = None
        if choice.finish is not None:
            out.append(write(index, '"delta":{}', reading.finish(choice.finish)))
        return "".join(out).encode()

    def end(self, choices: Sequence[Choice]) -> bytes:
        return self._chunks.end([self._prompt_tokens], choices)


def _delta(event: Event) -> str:
    if isinstance(event, Said):
        return f'"delta":{{"content":{quote(event.text)}}}'
    if isinstance(event, Called):
        return (
            f'"delta":{{"tool_calls":[{{"index":{event.number},"id":"{_call_id()}","type":"function",'
            f'"function":{{"name":{quote(event.name)},"arguments":""}}}}]}}'
        )
    if isinstance(event, Argued):
        return f'"delta":{{"tool_calls":[{{"index":{event.number},"function":{{"arguments":{quote(event.text)}}}}}]}}'
    return ""


def logprobs(tokenizer: Tokenizer, tokens: Sequence[tuple[Token, int]]) -> dict[str, Any]:
    content = [
        {
            **_log(tokenizer, token.id, token.logprob),
            "top_logprobs": [_log(tokenizer, number, value) for number, value in token.top],
        }
        for token, _ in tokens
    ]
    return {"content": content, "refusal": None}


def _log(tokenizer: Tokenizer, token: int, logprob: float | None) -> dict[str, Any]:
    text, data = text_of(tokenizer, token)
    return {"token": text, "logprob": at_least(logprob), "bytes": list(data)}


def at_least(logprob: float | None) -> float:
    """JSON has no infinity: a token that could not come has OpenAI's -9999."""
    return -9999.0 if logprob is None else max(logprob, -9999.0)


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
