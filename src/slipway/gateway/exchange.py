"""One HTTP exchange over ASGI: the request as it is read, the response as it is sent. Knows nothing of engines."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, MutableMapping
from typing import Any, cast
from urllib.parse import parse_qsl

from slipway.errors import BadRequest, MethodNotAllowed, NotReady, SlipwayError, TooLarge, Unauthorized

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

LEAVING = "slipway.leaving"  # ASGI extension: takes a function to be called when the client leaves
BODY_LIMIT_BYTES = 64 * 1024**2
RETRY_AFTER_S = 2
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


class ClientGone(Exception):
    """The client closed its connection before its request was whole: there is nobody to answer."""


class Exchange:
    """A request and its response. Made for each request, used by one task.

    ``route`` and ``model`` label the metrics: ``model`` is set only once it is known to exist.
    """

    __slots__ = (
        "_loop",
        "_receive",
        "_scope",
        "_send",
        "_task",
        "_watch",
        "begun_at",
        "finished",
        "gone",
        "headers",
        "method",
        "model",
        "path",
        "request_id",
        "route",
        "sent_bytes",
        "started_at",
        "status",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, scope: Scope, receive: Receive, send: Send, request_id: bytes
    ) -> None:
        self._loop = loop  # asking for it costs a system call each time
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[Message] | None = None
        self.request_id = request_id
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: list[Header] = scope["headers"]
        self.route = ""
        self.model = ""
        self.status = 0  # 0: nothing sent yet
        self.sent_bytes = 0
        self.started_at = time.perf_counter()
        self.begun_at = 0.0
        self.finished = False
        self.gone = False

    # ------------------------------------------------------------ the request

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self._scope["query_string"].decode("latin-1"), keep_blank_values=True))

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge as soon as that is known, ClientGone if it never ends."""
        announced = self.header(b"content-length")
        if announced is not None and int(announced) > BODY_LIMIT_BYTES:
            raise _too_large()
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest_of_body(body)
        elif message["type"] == "http.disconnect":
            raise ClientGone
        return body

    async def _rest_of_body(self, first: bytes) -> bytes:
        parts, size, more = [first], len(first), True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > BODY_LIMIT_BYTES:
                raise _too_large()
            more = message.get("more_body", False)
        return b"".join(parts)

    async def json_object(self) -> dict[str, Any]:
        """The body read as a JSON object; an empty body is an empty object. Raises BadRequest."""
        return parse_object(await self.body() or b"{}")

    def leave_when_client_does(self) -> None:
        """From here on, the client's leaving cancels this task. Call it once, after the body was read."""
        self._task = asyncio.current_task(self._loop)
        when_client_leaves = self._scope.get("extensions", {}).get(LEAVING)
        if when_client_leaves is not None:
            when_client_leaves(self._left)
        else:
            self._watch = self._loop.create_task(self._receive())
            self._watch.add_done_callback(lambda _: self._left())

    def _left(self) -> None:
        if not self.finished and self._task is not None:
            self.gone = True
            self._task.cancel("the client left")

    # ------------------------------------------------------------ the response

    async def begin(self, status: int, content_type: bytes, headers: Iterable[Header] = ()) -> None:
        """Send the status and the headers."""
        self.status = status
        self.begun_at = time.perf_counter()
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", content_type), (b"x-request-id", self.request_id), *headers],
            }
        )

    async def write(self, chunk: bytes) -> None:
        """Send a piece of the body; waits while the client reads slowly."""
        self.sent_bytes += len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, chunk: bytes = b"") -> None:
        """Send the last piece of the body."""
        self.finished = True
        self.sent_bytes += len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def respond(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Iterable[Header] = ()
    ) -> None:
        """Send a whole response."""
        await self.begin(status, content_type, ((b"content-length", b"%d" % len(body)), *headers))
        await self.finish(body)

    async def respond_json(self, value: object) -> None:
        await self.respond(200, json.dumps(value, ensure_ascii=False).encode())

    async def fail(self, error: SlipwayError) -> None:
        """Answer with the error's status and OpenAI's error object."""
        extra = []
        if isinstance(error, NotReady):  # not DoesNotFit, a 503 too: waiting a little does not make it fit
            extra.append((b"retry-after", b"%d" % RETRY_AFTER_S))
        if isinstance(error, Unauthorized):
            extra.append((b"www-authenticate", b"Bearer"))
        if isinstance(error, MethodNotAllowed):
            extra.append((b"allow", error.allowed.encode()))
        await self.respond(error.http_status, error_body(error), headers=extra)


def error_body(error: SlipwayError) -> bytes:
    """OpenAI's error object. ``detail`` repeats the message outside of it: Xinference's clients look for it there."""
    body = json.dumps(error.as_object() | {"detail": error.message}, ensure_ascii=False)
    return body.encode("utf-8", "replace")


class Waits:
    """The requests that wait for a launch or a log rather than for tokens: a server that stops ends them first."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """The task that enters may be cancelled by ``end`` until it leaves."""
        task = cast(asyncio.Task[Any], asyncio.current_task())
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        for task in self._tasks:
            task.cancel("the server is stopping")


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object from bytes. Raises BadRequest that says where the JSON goes wrong."""
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}", code="invalid_json") from None
    except (ValueError, RecursionError):  # other than UTF-8, nested too deep, a number of thousands of digits
        raise BadRequest(
            "the body is not JSON in UTF-8, or is too deep or its numbers too long", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object: send {…}", code="invalid_json")
    return value


def parse_flag(name: str, value: object) -> bool:
    """A boolean as JSON or a query string writes it. Raises BadRequest."""
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise BadRequest(f"{name} is {value!r}: give true or false", param=name)
    return text in _TRUE


def stopping() -> NotReady:
    """What requests are told that outlast the grace of a stopping server."""
    return NotReady("the server is stopping: ask again when it is back", code="server_stopping")


def _too_large() -> TooLarge:
    limit = f"{BODY_LIMIT_BYTES // 1024**2} MiB"
    return TooLarge(f"the request is larger than {limit}: send a smaller one", code="too_large")
