"""The relay: a request's bytes to an engine, the engine's bytes back. Nothing is parsed but `model`.

Until the first byte of an answer another endpoint may be tried, once, or the only one again if it closed the
connection: it may just have given up an idle one. When the client leaves, the engine's connection
is closed at once, which every engine takes for an abort.
"""

import logging
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from aiohttp import (
    ClientError,
    ClientOSError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)
from multidict import CIMultiDict
from yarl import URL

from slipway.control.routes import Endpoint, Routes
from slipway.errors import EngineFailed, SlipwayError
from slipway.gateway.balance import choose
from slipway.gateway.control import RoutingTable
from slipway.gateway.exchange import JSON, Exchange, stopping
from slipway.gateway.metrics import Metrics
from slipway.gateway.openai import RELAYED_PATHS, EventStream, engine_error, error_event, model_of, no_route

CONNECT_TIMEOUT_S = 5.0
IDLE_TIMEOUT_S = 3.0  # shorter than any engine's (5 s), so that no request meets a connection being closed
READ_BYTES = 256 * 1024
AT_ONCE_BYTES = 1024**2  # larger requests are written in pieces, so that others are served between them
ANSWER_LIMIT_BYTES = 256 * 1024**2
ERROR_LIMIT_BYTES = 64 * 1024

_EVENTS = b"text/event-stream; charset=utf-8"
_EVENT_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
_CLOSED = (ServerDisconnectedError, ClientOSError)
_LOST = (ClientError, OSError, TimeoutError)  # what the client library raises when a connection fails

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Upstream:
    """An endpoint made ready to be asked: all that is the same for each request, built once."""

    endpoint: Endpoint
    urls: Mapping[str, URL]  # by path
    headers: CIMultiDict[str]
    in_flight: int = 0


class Unanswered(Exception):
    """The engine failed before it sent a byte: another may be asked."""


class Relay:
    """Sends exchanges to engines. One per gateway, used in one event loop."""

    def __init__(self, table: RoutingTable, metrics: Metrics) -> None:
        self._table = table
        self._metrics = metrics
        self._routes: Routes | None = None  # the snapshot that _upstreams was made from
        self._upstreams: dict[str, tuple[Upstream, ...]] = {}
        self._session: ClientSession | None = None
        self._turn = 0

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def __call__(self, exchange: Exchange) -> None:
        """Relay one request. Raises SlipwayError as long as nothing was sent."""
        body = await exchange.body()
        uid = model_of(body)
        upstreams = self._upstreams_of(uid)
        exchange.model = uid
        exchange.leave_when_client_does()
        first = self._choose(upstreams)
        try:
            await self._attempt(first, exchange, body)
        except Unanswered as failure:
            log.warning("%s did not answer: %s", first.endpoint.replica, failure.__cause__ or failure)
            others = [each for each in upstreams if each is not first]
            if not others and not isinstance(failure.__cause__, _CLOSED):
                raise _unanswered(uid, first) from failure
            second = self._choose(others or upstreams)
            try:
                await self._attempt(second, exchange, body)
            except Unanswered as again:
                log.warning("%s did not answer either: %s", second.endpoint.replica, again.__cause__ or again)
                raise _unanswered(uid, second) from again

    # ------------------------------------------------------------ whom to ask

    def _upstreams_of(self, uid: str) -> tuple[Upstream, ...]:
        routes = self._table.routes
        if routes is not self._routes:
            self._adopt(routes)
        upstreams = self._upstreams.get(uid)
        if not upstreams:
            raise no_route(uid, self._table.statuses())
        return upstreams

    def _adopt(self, routes: Routes) -> None:
        """Take over a new snapshot; endpoints that stay keep their counts."""
        known = {upstream.endpoint: upstream for group in self._upstreams.values() for upstream in group}
        self._upstreams = {
            uid: tuple(known.get(endpoint) or _upstream(endpoint) for endpoint in route.endpoints)
            for uid, route in routes.items()
        }
        self._routes = routes

    def _choose(self, upstreams: Sequence[Upstream]) -> Upstream:
        if len(upstreams) == 1:
            return upstreams[0]
        self._turn += 1
        return upstreams[choose([each.in_flight for each in upstreams], self._turn)]

    # ------------------------------------------------------------ asking

    async def _attempt(self, upstream: Upstream, exchange: Exchange, body: bytes) -> None:
        upstream.in_flight += 1
        try:
            response = await self._ask(upstream, exchange.path, body)
            try:
                await self._answer(upstream, exchange, response)
            finally:
                if not response.content.at_eof():
                    response.close()  # an unread answer: the engine has to stop
        finally:
            upstream.in_flight -= 1

    async def _ask(self, upstream: Upstream, path: str, body: bytes) -> ClientResponse:
        session = self._session or self._open()
        data = body if len(body) <= AT_ONCE_BYTES else BytesIO(body)
        try:
            return await session.post(upstream.urls[path], data=data, headers=upstream.headers, allow_redirects=False)
        except _LOST as error:
            raise Unanswered("no connection, or closed before an answer") from error

    def _open(self) -> ClientSession:
        self._session = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=IDLE_TIMEOUT_S, use_dns_cache=True),
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            trust_env=False,
        )
        return self._session

    async def _answer(self, upstream: Upstream, exchange: Exchange, response: ClientResponse) -> None:
        try:
            first = await response.content.readany()
        except _LOST as error:
            raise Unanswered("closed before the first byte of the answer") from error
        if not 200 <= response.status < 300:
            raise await _refusal(upstream, response, first)
        if not first:
            raise Unanswered("answered with nothing")
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/event-stream"):
            await self._stream(exchange, response, first)
        elif kind.startswith("application/json"):
            await self._whole(exchange, response, first)
        else:
            raise EngineFailed(f"the engine answered with {kind or 'no content type'}, not JSON: see its log")

    async def _whole(self, exchange: Exchange, response: ClientResponse, first: bytes) -> None:
        body = first if response.content.at_eof() else await _rest(response, first)
        await exchange.respond(response.status, body)
        self._metrics.series(exchange.route, exchange.model).count_tokens(body)

    async def _stream(self, exchange: Exchange, response: ClientResponse, first: bytes) -> None:
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.force_close()  # llama.cpp closes after a stream, and does not say so before
        await exchange.begin(response.status, _EVENTS, _EVENT_HEADERS)
        events, content, chunk = EventStream(), response.content, first
        try:
            while chunk:
                ready = events.feed(chunk)
                if ready:
                    await exchange.write(ready)
                chunk = await content.readany()
        except _LOST as error:
            log.warning("the stream of %s broke: %s", exchange.model, error)
            await exchange.finish(error_event(_broken()))
            return
        except CancelledError:
            if not exchange.gone:
                await exchange.finish(error_event(stopping()))
            raise
        last = events.end()
        await exchange.finish(last if events.whole else error_event(_broken()))
        self._metrics.series(exchange.route, exchange.model).count_tokens(events.tail)


def _upstream(endpoint: Endpoint) -> Upstream:
    return Upstream(
        endpoint,
        {path: URL(endpoint.address.rstrip("/") + path, encoded=True) for path in RELAYED_PATHS},
        CIMultiDict(
            {
                "Authorization": f"Bearer {endpoint.secret}",
                "Content-Type": JSON.decode(),
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": "slipway",
            }
        ),
    )


async def _rest(response: ClientResponse, first: bytes) -> bytes:
    """The rest of an answer, after its first bytes. Raises EngineFailed if it breaks off or never ends."""
    parts, size = [first], len(first)
    try:
        while chunk := await response.content.readany():
            parts.append(chunk)
            size += len(chunk)
            if size > ANSWER_LIMIT_BYTES:
                limit = f"{ANSWER_LIMIT_BYTES // 1024**2} MiB"
                raise EngineFailed(f"the engine's answer is larger than {limit}: ask for less")
    except _LOST as error:
        raise _broken() from error
    return b"".join(parts)


async def _refusal(upstream: Upstream, response: ClientResponse, first: bytes) -> SlipwayError:
    """The error that an engine answered with, its secret taken out should it repeat it."""
    body = first
    try:
        while len(body) < ERROR_LIMIT_BYTES and (chunk := await response.content.readany()):
            body += chunk
    except _LOST:
        log.warning("the error answer of %s broke off", upstream.endpoint.replica)
    secret = upstream.endpoint.secret.encode()
    return engine_error(response.status, body.replace(secret, b"***") if secret else body)


def _broken() -> EngineFailed:
    return EngineFailed("the engine stopped in the middle of its answer: ask again, see its log", code="engine_stopped")


def _unanswered(uid: str, upstream: Upstream) -> EngineFailed:
    return EngineFailed(
        f"the engine of {uid!r} (replica {upstream.endpoint.replica}) did not answer: ask again, see its log",
        code="engine_unreachable",
    )
