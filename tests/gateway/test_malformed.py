"""What is no HTTP request, or too much of one, sent over a raw connection: an error object and a closed connection."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState

from slipway.gateway.app import create_app
from slipway.gateway.protocol import HEAD_LIMIT_BYTES, GatewayProtocol
from slipway.settings import Settings
from tests.gateway.stage import BOUND_S, Gateway, error_in

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self, *pieces: bytes) -> bytes:
        """All that comes back until the server closes."""
        async with asyncio.timeout(BOUND_S):
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
            answer = await self._reader.read()
        self._writer.close()
        return answer


async def connect(gateway: Gateway) -> Connection:
    parts = urlsplit(gateway.url)
    return Connection(*await asyncio.open_connection(parts.hostname, parts.port))


def read(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Status and error of one answer that closes its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().lower().split("\r\n")
    assert "content-type: application/json" in lines
    assert "connection: close" in lines
    assert f"content-length: {len(body)}" in lines
    return int(first.split()[1]), error_in(json.loads(body))


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        CHAT + b"Content-Length: x\r\n\r\n",
        CHAT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_request_gets_an_error_object(gateway: Gateway, data: bytes) -> None:
    status, error = read(await (await connect(gateway)).answer(data))
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_http")


async def test_garbage_after_an_answer_gets_an_error_object(gateway: Gateway) -> None:
    asked = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = await (await connect(gateway)).answer(asked + b"\x00\x01\x02\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    assert b"text/plain" not in answer


async def test_garbage_does_not_get_into_an_answer_under_way(gateway: Gateway) -> None:
    body = json.dumps({"model": "tiny", "stream": True, "fake": {"chunks": 10_000, "chunk_delay_s": 0.01}}).encode()
    parts = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    async with asyncio.timeout(BOUND_S):
        writer.write(CHAT + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"data: ")
        writer.write(b"\x00\x01\x02\r\n\r\n")
        rest = await reader.read()
    writer.close()
    assert b"HTTP/1.1" not in rest
    assert b"invalid_http" not in rest


def headers(size: int) -> bytes:
    lines = b"".join(b"x-%04d: %s\r\n" % (number, b"v" * 1000) for number in range(size // 1010))
    return b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + lines


@pytest.mark.parametrize("split", [False, True])
async def test_heads_up_to_the_limit_are_read(gateway: Gateway, split: bool) -> None:
    data = headers(HEAD_LIMIT_BYTES - 2000) + b"Connection: close\r\n\r\n"
    pieces = [data[:100], data[100:]] if split else [data]
    assert (await (await connect(gateway)).answer(*pieces)).startswith(b"HTTP/1.1 200")


class Transport(asyncio.Transport):
    """Remembers what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


@pytest.mark.parametrize(
    ("end", "read_bytes"),
    [(b"\r\n\r\n", 100), (b"\r\n\r\n", 60_000), (b"\r\n\r\n", 10**6), (b"", 100), (b"", 60_000)],
)
async def test_heads_over_the_limit_are_refused(gateway: Gateway, end: bytes, read_bytes: int) -> None:
    """In reads of any size; without an end, as soon as what came after the first read is over the limit."""
    data = headers(HEAD_LIMIT_BYTES + (5000 if end else read_bytes + 5000)).removesuffix(b"\r\n") + end
    config = uvicorn.Config(create_app(gateway.control, Settings(Path("/nowhere"))), lifespan="off", log_config=None)
    config.load()
    transport, protocol = Transport(), GatewayProtocol(config, ServerState(), {})
    protocol.connection_made(transport)
    for start in range(0, len(data), read_bytes):
        if not transport.closed:
            protocol.data_received(data[start : start + read_bytes])
    assert transport.closed
    status, error = read(transport.written)
    assert (status, error["code"]) == (431, "too_large")
    assert "64 KiB" in error["message"]
    protocol.connection_lost(None)
