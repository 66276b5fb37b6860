"""The server on a free port with a fake generator behind it, and a client that speaks to it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from slipway.engines.transformers_server.app import FACE, make_app
from slipway.engines.transformers_server.constraints import Constraint
from slipway.engines.transformers_server.run import Feed
from slipway.engines.transformers_server.service import Service
from slipway.engines.transformers_server.templates import ChatTemplate
from slipway.engines.transformers_server.wishes import Defaults
from slipway.engines.transformers_server.words import Generator
from tests.engines.transformers_server.fakes import ByteTokenizer, FakeGenerator, Script

SECRET = "a-secret"
TEMPLATE = (
    "{%- for message in messages -%}<|user|>{{ message.role }}:{{ message.content }}"
    "{%- for call in message.tool_calls or [] -%}{{ call.function | tojson }}{%- endfor -%}{%- endfor -%}"
    "{%- if tools -%}{{ tools | tojson }}{%- endif -%}"
    "{%- if messages[0].content == 'refuse me' -%}{{ raise_exception('no such talk') }}{%- endif -%}<|assistant|>"
)
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


def passed_on(constraint: Constraint) -> str:
    if "no-such-keyword" in constraint.text:
        raise ValueError("Unimplemented keys")
    return constraint.text


def service(generator: Generator, **changes: Any) -> Service:
    tokenizer = ByteTokenizer()
    made = Service(
        alias="tiny",
        tokenizer=tokenizer,
        template=ChatTemplate({"default": TEMPLATE}, tokenizer.names),
        generator=generator,
        compile=passed_on,
        defaults=Defaults(),
        tool_parser="hermes",
    )
    return replace(made, **changes)


@dataclass
class Stage:
    generator: FakeGenerator
    client: aiohttp.ClientSession
    base: str
    feed: Feed

    async def ask(self, path: str, body: object, status: int = 200) -> Any:
        async with self.client.post(self.base + path, json=body) as answer:
            said = await answer.json()
            assert answer.status == status, said
            return said

    async def chat(self, status: int = 200, **fields: Any) -> Any:
        return await self.ask("/v1/chat/completions", {"model": "tiny", "messages": HELLO, **fields}, status)

    async def complete(self, status: int = 200, **fields: Any) -> Any:
        return await self.ask("/v1/completions", {"model": "tiny", "prompt": "Hello", **fields}, status)

    async def stream(self, path: str = "/v1/chat/completions", **fields: Any) -> list[Any]:
        """The events of a stream, [DONE] as text."""
        given = {"messages": HELLO} if "chat" in path else {"prompt": "Hello"}
        body = {"model": "tiny", "stream": True, **given, **fields}
        async with self.client.post(self.base + path, json=body) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            assert answer.headers["Content-Type"].startswith("text/event-stream")
        return events(text)


def events(text: str) -> list[Any]:
    assert text.endswith("\n\n")
    lines = text.removesuffix("\n\n").split("\n\n")
    assert all(line.startswith("data: ") for line in lines), lines
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


def content(stream: list[Any], index: int = 0) -> str:
    """The text of one choice of a chat's stream."""
    choices = [choice for event in stream if event != "[DONE]" for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices if choice["index"] == index)


def finish(stream: list[Any], index: int = 0) -> list[str]:
    choices = [choice for event in stream if event != "[DONE]" for choice in event["choices"]]
    return [choice["finish_reason"] for choice in choices if choice["index"] == index and choice["finish_reason"]]


@asynccontextmanager
async def serving(
    script: Script, step_s: float = 0.0, context_length: int = 1000, **changes: Any
) -> AsyncIterator[Stage]:
    """``changes``: to the service."""
    generator = FakeGenerator(script, context_length, step_s)
    app = make_app(service(generator, **changes), SECRET, asyncio.get_running_loop())
    server = TestServer(app)
    await server.start_server()  # with handler_cancellation, as the real one
    try:
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            yield Stage(generator, client, str(server.make_url("")).rstrip("/"), app[FACE].feed)
    finally:
        generator.close()
        await server.close()


async def until(true: Callable[[], bool], limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.002)
