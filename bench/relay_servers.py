"""The two relays that `bench.relay` compares: `python -m bench.relay_servers bare|slipway PORT UPSTREAM` runs one."""

import sys
from pathlib import Path
from typing import Any

import uvicorn
from aiohttp import ClientSession, TCPConnector

from slipway.control.reconcile import Status
from slipway.control.routes import Endpoint, Route, Routes
from slipway.deployment import Deployment
from slipway.errors import NotFound
from slipway.parameters import LaunchRequest
from slipway.server import serve
from slipway.settings import Settings

MODEL = "bench"


class StaticControl:
    """A controller whose one model is always ready at a given address."""

    def __init__(self, upstream: str) -> None:
        self.routes: Routes = {MODEL: Route(MODEL, (Endpoint(f"{MODEL}-0", upstream, "secret"),))}

    async def launch(self, request: LaunchRequest) -> Deployment:
        raise NotFound("nothing is launched in a benchmark")

    async def wait_ready(self, uid: str) -> None:
        return

    async def terminate(self, uid: str) -> None:
        raise NotFound(f"no model named {uid!r}")

    def status(self, uid: str) -> Status:
        raise NotFound(f"no model named {uid!r}")

    def statuses(self) -> tuple[Status, ...]:
        return ()

    async def close(self) -> None:
        return


def serve_slipway(port: int, upstream: str) -> None:
    async def control() -> StaticControl:
        return StaticControl(upstream)

    serve(Settings(Path.cwd(), port=port), control)


class BareRelay:
    """The least a relay in Python can do: read, ask, answer. It checks nothing and survives nothing."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._session is None:
            self._session = ClientSession(connector=TCPConnector(limit=0))
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        async with self._session.post(self._upstream + scope["path"], data=body) as response:
            answer = await response.read()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def serve_bare(port: int, upstream: str) -> None:
    config = uvicorn.Config(
        BareRelay(upstream),
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    kind, port, upstream = sys.argv[1:]
    {"slipway": serve_slipway, "bare": serve_bare}[kind](int(port), upstream)
