"""uvicorn's HTTP protocol, cheaper in two places that every request passes, and in words about what is no request.

The head of a response and the start of its body are sent in one write: uvicorn writes them one after the other and
uvloop sends each at once. And who serves a request may be told that its client left, without a task that waits for it.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.errors import BadRequest, HeadTooLarge, SlipwayError
from slipway.gateway.exchange import JSON, LEAVING, error_body

HEAD_LIMIT_BYTES = 64 * 1024  # of a request's line and headers


class GatewayProtocol(HttpToolsProtocol):
    _left: Callable[[], None] | None = None
    _in_head = False
    _may_be_large = False  # a head of one read is not, unless the read is
    _head_bytes = 0  # those after the head's first read, while it has no end
    _too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport, self.loop)))
        self._extensions: Any = {LEAVING: self._when_client_leaves}

    def data_received(self, data: bytes) -> None:
        message = self.scope
        self._may_be_large = self._in_head or len(data) > HEAD_LIMIT_BYTES
        super().data_received(data)
        if self._in_head and self.scope is message:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._may_be_large and len(self.url) + sum(len(a) + len(b) for a, b in self.headers) > HEAD_LIMIT_BYTES:
            self._too_large = True
            raise ValueError("too large")  # ends the parser, which has send_400_response called
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called for what the parser does not take. uvicorn's own answer is plain text."""
        said = "this is not a request in HTTP/1.1: its first line, its headers or the framing of its body is malformed"
        self._refuse(_head_too_large() if self._too_large else BadRequest(said, code="invalid_http"))

    def _refuse(self, error: SlipwayError) -> None:
        """Answer outside of any request and close; only close where an answer is already under way."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = error_body(error)
            head = (
                b"HTTP/1.1 %d %s\r\n" % (error.http_status, HTTPStatus(error.http_status).phrase.encode()),
                *(b"%s: %s\r\n" % header for header in self.server_state.default_headers),
                b"content-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (JSON, len(body)),
            )
            self.transport.write(b"".join(head) + body)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._left is not None:
            self._left()

    def _when_client_leaves(self, call: Callable[[], None]) -> None:
        """``call`` replaces the one of the request before; it has to bear being called after its response."""
        self._left = call
        self.flow.resume_reading()  # paused by a large body, the connection would not be seen closing
        if self.transport.is_closing():
            self.loop.call_soon(call)


def _head_too_large() -> HeadTooLarge:
    limit = f"{HEAD_LIMIT_BYTES // 1024} KiB"
    return HeadTooLarge(f"the headers of the request are larger than {limit}: send smaller ones", code="too_large")


class JoiningTransport:
    """The part of a transport that uvicorn uses. A response's head waits for what is written next in the same turn."""

    __slots__ = ("_head", "_loop", "_transport", "get_extra_info", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.get_extra_info: Callable[..., Any] = transport.get_extra_info
        self.is_closing: Callable[[], bool] = transport.is_closing
        self.pause_reading: Callable[[], None] = transport.pause_reading
        self.resume_reading: Callable[[], None] = transport.resume_reading

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
