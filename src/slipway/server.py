"""The composition root's HTTP half: a bound socket, the gateway over a controller, and an orderly end."""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import uvicorn

import slipway
from slipway.errors import BadRequest, PortInUse, SlipwayError
from slipway.gateway.app import Gateway, create_app
from slipway.gateway.auth import check_exposure
from slipway.gateway.control import Control
from slipway.gateway.protocol import GatewayProtocol
from slipway.settings import Settings

GRACE_S = 10  # what requests under way get when the server is told to stop
KEEP_ALIVE_S = 75
_BACKLOG = 2048


def serve(
    settings: Settings,
    open_control: Callable[[], Awaitable[Control]],
    announce: Callable[[str], None] = lambda line: print(line, flush=True),
    grace_s: int = GRACE_S,
) -> None:
    """Serve until SIGTERM or SIGINT, then let requests finish and close the controller. A second SIGINT stops waiting.

    ``announce`` gets one line, once connections are accepted. BadRequest and PortInUse come before anything is started.
    """
    check_exposure(settings)
    listener = listen(settings)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, listener, open_control, announce, grace_s))


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the settings' host and port. Raises PortInUse, or BadRequest for any other obstacle."""
    host, port = settings.host, settings.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _why_not_listening(host, port, error) from None
    return listener


def _why_not_listening(host: str, port: int, error: OSError) -> SlipwayError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} of {host} is taken by another program: "
            "stop it, or choose another port with --port or SLIPWAY_PORT"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return BadRequest(
            f"port {port} may not be opened by this user: choose one above 1023 with --port or SLIPWAY_PORT"
        )
    return BadRequest(
        f"cannot listen on {host}: {error.strerror or error}; give an address of this machine with --host"
    )


async def _serve(
    settings: Settings,
    listener: socket.socket,
    open_control: Callable[[], Awaitable[Control]],
    announce: Callable[[str], None],
    grace_s: int,
) -> None:
    asyncio.get_running_loop().set_default_executor(_Threads())
    with _Signals() as signals:  # until all is closed: a second signal must not leave engines behind
        async with contextlib.AsyncExitStack() as ending:  # each end is reached, whatever the one before raises
            control = await open_control()
            ending.push_async_callback(control.close)
            app = create_app(control, settings)
            ending.push_async_callback(app.close)
            ready = f"Slipway {slipway.__version__} is ready at {_shown(listener)}"
            server = _Server(_config(app, grace_s), lambda: announce(ready), app.end_waits)
            signals.hand_to(server)
            await server.serve(sockets=[listener])


def _config(app: Gateway, grace_s: int) -> uvicorn.Config:
    # What goes wrong in a request is logged by the gateway, in words; uvicorn's own report would be a second one.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        http=GatewayProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )


class _Threads(ThreadPoolExecutor):
    """The threads of blocking calls. The loop's end does not wait for them: a hub that hangs would hold it up."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it accepts connections and when it stops, and leaves signals to us."""

    def __init__(
        self, config: uvicorn.Config, when_ready: Callable[[], None], when_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._when_stopping = when_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what was imported stays: the collector need not look at it again
        if not self.should_exit:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._when_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # uvicorn's own would die of the signal once more at the end


class _Signals:
    """SIGINT and SIGTERM stop the server; one that comes before there is a server stops it as soon as there is."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._early = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hand_to(self, server: uvicorn.Server) -> None:
        self._server = server
        server.should_exit = self._early

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._server is None:
            self._early = True
        else:
            self._server.handle_exit(number, frame)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # not there on Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _shown(listener: socket.socket) -> str:
    """The address as a person would open it: a wildcard is shown as loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
