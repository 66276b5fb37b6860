"""What the gateway's tests stand on: a controller of fakes, a running gateway, fake engines, all on real sockets."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import uvicorn
from aiohttp import ClientResponse, ClientSession
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from slipway.control.reconcile import Status
from slipway.control.routes import Endpoint, Route, Routes
from slipway.deployment import Deployment, Failure, Observation, Phase
from slipway.errors import Conflict, SlipwayError, UnknownName
from slipway.gateway.app import create_app
from slipway.gateway.protocol import GatewayProtocol
from slipway.parameters import LaunchRequest
from slipway.server import listen
from slipway.settings import Settings
from tests.plans import make_plan

BOUND_S = 10.0
SECRET = "s3cret-of-the-engine"
ENGINE = Path(__file__).parents[1] / "fake_engine.py"


@dataclass
class FakeControl:
    """A controller whose deployments are what the test puts there."""

    routes: Routes = field(default_factory=dict)
    known: dict[str, Status] = field(default_factory=dict)
    launched: list[LaunchRequest] = field(default_factory=list)
    failure: SlipwayError | None = None  # what wait_ready raises
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, uid: str, *addresses: str, phase: Phase = Phase.READY, failure: Failure | None = None) -> None:
        """A deployment with an engine at each address."""
        seen = tuple(Observation(f"{uid}-{n}", address=address) for n, address in enumerate(addresses))
        self.see(uid, phase, seen, failure)
        endpoints = tuple(Endpoint(f"{uid}-{n}", address, SECRET) for n, address in enumerate(addresses))
        self.routes = {**self.routes, uid: Route(uid, endpoints)}

    def see(
        self, uid: str, phase: Phase, seen: tuple[Observation, ...] = (), failure: Failure | None = None
    ) -> Deployment:
        deployment = Deployment(uid, make_plan(uid), max(1, len(seen)), 1_700_000_000.5)
        self.known[uid] = Status(deployment, seen, phase, time.time() - 7, failure)
        return deployment

    async def launch(self, request: LaunchRequest) -> Deployment:
        uid = request.uid or request.model_name
        if uid in self.known:
            raise Conflict(f"{uid} is taken")
        self.launched.append(request)
        return self.see(uid, Phase.STARTING)

    async def wait_ready(self, uid: str) -> None:
        await self.ready.wait()
        if self.failure is not None:
            raise self.failure
        self.see(uid, Phase.READY)

    async def terminate(self, uid: str) -> None:
        self.status(uid)
        del self.known[uid]

    def status(self, uid: str) -> Status:
        if uid not in self.known:
            raise UnknownName("model", uid, self.known)
        return self.known[uid]

    def statuses(self) -> tuple[Status, ...]:
        return tuple(self.known.values())

    async def close(self) -> None:
        return


@dataclass
class Gateway:
    """A running gateway and a client of it."""

    url: str
    control: FakeControl
    session: ClientSession

    @contextlib.asynccontextmanager
    async def chat(
        self, body: object = None, path: str = "/v1/chat/completions", **fake: Any
    ) -> AsyncIterator[ClientResponse]:
        asked = body if body is not None else {"model": "tiny", "messages": [], "fake": fake}
        data = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        async with self.session.post(self.url + path, data=BytesIO(data)) as response:
            yield response

    async def error_of(
        self, body: object = None, path: str = "/v1/chat/completions", **fake: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and error object of a request that fails."""
        async with self.chat(body, path, **fake) as response:
            return response.status, error_in(await response.json())

    async def read_once(self, body: object) -> bytes:
        """The first piece of an answer; leaves after it."""
        async with self.chat(body) as response:
            return await response.content.readany()

    async def error_free(self, body: object) -> dict[str, Any]:
        async with self.chat(body) as response:
            assert response.status == 200, await response.text()
            found: dict[str, Any] = await response.json()
            return found

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.json()


def error_in(value: dict[str, Any]) -> dict[str, Any]:
    error = value["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"]
    assert SECRET not in json.dumps(value)
    assert "127.0.0.1" not in error["message"]
    assert isinstance(error, dict)
    return error


@contextlib.asynccontextmanager
async def running_gateway(
    control: FakeControl, settings: Settings, protocol: type[HttpToolsProtocol] = GatewayProtocol
) -> AsyncIterator[Gateway]:
    app = create_app(control, settings)
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    listener = listen(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), sock=listener)
    try:
        async with ClientSession() as session:
            yield Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", control, session)
        await until(lambda: not state.tasks)
    finally:
        server.close()
        await app.close()


@dataclass
class Engine:
    """A fake engine process."""

    address: str
    process: subprocess.Popen[str]

    async def record(self) -> dict[str, Any]:
        async with ClientSession() as session, session.get(self.address + "/_record") as response:
            found: dict[str, Any] = await response.json()
            return found

    async def was_asked(self, before: int) -> bool:
        return len((await self.record())["requests"]) > before

    async def aborts(self) -> int:
        return int((await self.record())["aborts"])


@contextlib.contextmanager
def running_engine(*flags: str, secret: str = SECRET) -> Iterator[Engine]:
    process = subprocess.Popen(
        [sys.executable, str(ENGINE), *flags],
        env={**os.environ, "SLIPWAY_ENGINE_SECRET": secret},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if "listening on" in line)
        yield Engine("http://" + line.split()[-1], process)
    finally:
        process.kill()
        process.wait(BOUND_S)
        process.stdout.close()


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], bound_s: float = BOUND_S) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(bound_s):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)
