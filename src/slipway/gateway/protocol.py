"""uvicorn's HTTP protocol, cheaper in two places that every request passes.

The head of a response and the start of its body are sent in one write: uvicorn writes them one after the other and
uvloop sends each at once. And who serves a request may be told that its client left, without a task that waits for it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.gateway.exchange import LEAVING


class GatewayProtocol(HttpToolsProtocol):
    _left: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport, self.loop)))
        self._extensions: Any = {LEAVING: self._when_client_leaves}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

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
