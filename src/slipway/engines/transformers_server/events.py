"""Server-sent events of an answer and what every shape of answer shares: its head, its usage, an error."""

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quote  # JSON text, without ASCII escapes
from typing import Any

from slipway.engines.transformers_server.choices import Choice
from slipway.errors import SlipwayError

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of an answer begins with."""

    id: str
    object: str
    created: int
    model: str

    @classmethod
    def new(cls, prefix: str, kind: str, model: str) -> "Head":
        return cls(f"{prefix}-{uuid.uuid4().hex}", kind, int(time.time()), model)

    def as_object(self) -> dict[str, Any]:
        return {"id": self.id, "object": self.object, "created": self.created, "model": self.model}

    def as_text(self) -> str:
        """The same as JSON, without its closing bracket."""
        return dumps(self.as_object())[:-1]


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def error_event(error: SlipwayError) -> bytes:
    return f"data: {dumps(error.as_object())}\n\n".encode()


def usage(prompts: Sequence[int], choices: Sequence[Choice]) -> dict[str, Any]:
    """``prompts``: tokens of each. The choices are those of the prompts in order, as many for each."""
    prompt_tokens, completion_tokens = sum(prompts), sum(choice.completion_tokens for choice in choices)
    firsts = choices[:: max(1, len(choices) // max(1, len(prompts)))]
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(choice.cached_tokens for choice in firsts)},
    }


class Chunks:
    """Writes the chunks of one stream: all but what changes is written beforehand."""

    __slots__ = ("_head", "_tail", "_usage")

    def __init__(self, head: Head, include_usage: bool) -> None:
        self._head = f"data: {head.as_text()},"
        self._usage = include_usage
        self._tail = '}],"usage":null}\n\n' if include_usage else "}]}\n\n"

    def chunk(self, index: int, body: str, finish: str | None, logprobs: object = None) -> str:
        """``body``: the choice's own fields, as JSON text."""
        ended = "null" if finish is None else quote(finish)
        logs = "null" if logprobs is None else dumps(logprobs)
        return f'{self._head}"choices":[{{"index":{index},{body},"logprobs":{logs},"finish_reason":{ended}{self._tail}'

    def end(self, prompts: Sequence[int], choices: Sequence[Choice]) -> bytes:
        if not self._usage:
            return DONE
        return f'{self._head}"choices":[],"usage":{dumps(usage(prompts, choices))}}}\n\n'.encode() + DONE
