"""The gateway as one ASGI app: who may ask, which handler answers, and the one place where errors become responses."""

import asyncio
import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from slipway.errors import MethodNotAllowed, NotFound, SlipwayError
from slipway.gateway.admin import Admin
from slipway.gateway.auth import Gate
from slipway.gateway.control import Control
from slipway.gateway.exchange import ClientGone, Exchange, Receive, Scope, Send, Waits, stopping
from slipway.gateway.metrics import Metrics
from slipway.gateway.openai import RELAYED_PATHS
from slipway.gateway.proxy import Relay
from slipway.gateway.xinference import LaunchApi
from slipway.settings import Settings

Handler = Callable[[Exchange], Awaitable[None]]
ModelHandler = Callable[[Exchange, str], Awaitable[None]]
H = TypeVar("H")

OPEN_PATHS = frozenset({"/health", "/metrics", "/v1/cluster/auth"})
_MODELS = "/v1/models/"

log = logging.getLogger(__name__)


class Gateway:
    """An ASGI app. ``close`` it when the server has stopped."""

    def __init__(self, control: Control, settings: Settings) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate = Gate(settings)
        self._metrics = Metrics(lambda: (status.phase for status in control.statuses()))
        self._relay = Relay(control, self._metrics)
        self._request_ids = map(f"req-{os.urandom(6).hex()}-%x".__mod__, itertools.count(1))
        self._waits = Waits()
        admin = Admin(control, self._metrics, self._waits)
        launches = LaunchApi(control, settings, self._gate, self._waits)
        self._exact: Mapping[str, Mapping[str, Handler]] = {
            **{path: {"POST": self._relay} for path in RELAYED_PATHS},
            "/health": {"GET": admin.health},
            "/metrics": {"GET": admin.metrics},
            "/v1/models": {"GET": launches.list_models, "POST": launches.launch},
            "/v1/cluster/auth": {"GET": launches.cluster_auth},
        }
        self._of_model: Mapping[str, Mapping[str, ModelHandler]] = {
            "": {"GET": launches.get_model, "DELETE": launches.terminate},
            "logs": {"GET": admin.logs},
            "progress": {"GET": launches.progress},
            "cancel": {"POST": launches.terminate},
        }

    def end_waits(self) -> None:
        """End the requests that would hold up a stop for nothing: launches waited for, logs followed."""
        self._waits.end()

    async def close(self) -> None:
        await self._relay.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway speaks HTTP only, not {scope['type']}")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        exchange = Exchange(loop, scope, receive, send, next(self._request_ids).encode())
        self._metrics.in_flight += 1
        try:
            await self._serve(exchange)
        finally:
            exchange.finished = True
            self._metrics.in_flight -= 1
            self._metrics.record(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        """The request boundary: every failure is answered or logged here."""
        try:
            if exchange.path not in OPEN_PATHS:
                self._gate.check(exchange.headers)
            await self._dispatch(exchange)
        except SlipwayError as error:
            await self._refuse(exchange, error)
        except ClientGone:
            return
        except asyncio.CancelledError:
            if exchange.gone:
                return
            if not exchange.status:
                await exchange.fail(stopping())
            raise
        except Exception:
            request_id = exchange.request_id.decode()
            log.exception("request %s failed", request_id)
            await self._refuse(exchange, SlipwayError(f"an error in Slipway itself: see its log for {request_id}"))

    async def _refuse(self, exchange: Exchange, error: SlipwayError) -> None:
        if exchange.status:  # too late for a status: the connection is cut, which no client takes for an end
            log.warning("request %s was cut: %s", exchange.request_id.decode(), error.message)
            return
        await exchange.fail(error)

    def _dispatch(self, exchange: Exchange) -> Awaitable[None]:
        path = exchange.path
        handlers = self._exact.get(path)
        if handlers is not None:
            exchange.route = path
            return _for_method(exchange, handlers)(exchange)
        uid, _, action = path.removeprefix(_MODELS).partition("/")
        of_model = self._of_model.get(action) if path.startswith(_MODELS) and uid else None
        if of_model is None:
            raise NotFound(f"nothing at {path}: see the documentation for what is served", code="path_not_found")
        exchange.route = f"{_MODELS}{{uid}}{'/' if action else ''}{action}"
        return _for_method(exchange, of_model)(exchange, uid)


def create_app(control: Control, settings: Settings) -> Gateway:
    """The gateway over a controller, to be served by any ASGI server in one event loop."""
    return Gateway(control, settings)


def _for_method(exchange: Exchange, handlers: Mapping[str, H]) -> H:
    method = "GET" if exchange.method == "HEAD" else exchange.method
    handler = handlers.get(method)
    if handler is None:
        raise MethodNotAllowed(exchange.method, exchange.path, handlers)
    return handler
