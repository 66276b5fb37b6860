"""One replica: weights fetched, environment made, engine started, probed until it answers, watched until it ends.

A replica writes only its own observation. Whoever holds it calls `run` once and cancels it to stop it.
"""

import asyncio
import contextlib
import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiohttp

from slipway.deployment import Failure, Observation, Plan
from slipway.engines import find_engine
from slipway.errors import EngineFailed, SlipwayError
from slipway.runtime.engine_log import log_tail, trim_log
from slipway.runtime.environments import Held
from slipway.runtime.preparation import Making, prepare
from slipway.runtime.process import EngineProcess
from slipway.runtime.rate import Rate
from slipway.types import Environment, Hub, Location

T = TypeVar("T")
Progress = Callable[[int, int | None], None]
Fetch = Callable[[Location, Progress, threading.Event], Path]  # blocking; returns where the files are
# Blocking; tells what it does, where there is something to do.
Install = Callable[[Environment, Callable[[str], None], threading.Event], Held]

STOP_GRACE_S = 10.0
_TAIL_LINES = 20
_EXPLAINED_LINES = 200
_PROBE_S = (0.01, 0.25)  # first and longest pause between two probes
_TRIM_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effects:
    """What a replica needs from outside: weights, an HTTP session for probes, a port, environments, the wall clock."""

    fetch: Fetch
    session: aiohttp.ClientSession
    port: Callable[[], int]
    install: Install
    clock: Callable[[], float] = time.time


class Replica:
    """``on_change`` is called, on the event loop, after every change of the observation."""

    def __init__(self, name: str, plan: Plan, log_path: Path, effects: Effects, on_change: Callable[[], None]) -> None:
        self.plan = plan
        self.process: EngineProcess | None = None
        self.observation = Observation(name, log_path=log_path)
        self._log_path = log_path
        self._effects = effects
        self._held: Held | None = None  # the environment it runs in
        self._on_change = on_change

    async def run(self) -> None:
        """Serve until the engine ends or this is cancelled. Never raises but CancelledError: failures are observed."""
        try:
            await self._fetch()
            self._held = await self._install()
            process = await self._start(self._held.python)
            await self._probe(process)
            self._see(replace(self.observation, ready_since=self._effects.clock()))
            raise self._death(await self._watch(process))
        except SlipwayError as error:
            self._fail(error)
        except OSError as error:
            self._fail(EngineFailed(f"{self.plan.engine} could not be started: {error}"))
        except Exception:  # the boundary: who waits for this replica is told, the log says what it was
            log.exception("replica %s failed", self.observation.replica)
            self._fail(EngineFailed("an error in Slipway itself; the server's log has it: please report it"))
        finally:
            await self._end()

    async def _fetch(self) -> None:
        location = self.plan.model.location
        loop = asyncio.get_running_loop()
        cancel, rate = threading.Event(), Rate()

        def seen(fetched: int, total: int | None) -> None:
            per_s = rate.update(time.monotonic(), fetched)
            self._see(
                replace(self.observation, fetched_bytes=fetched, fetch_total_bytes=total, fetch_bytes_per_s=per_s)
            )

        def progress(fetched: int, total: int | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody looks any more
                loop.call_soon_threadsafe(seen, fetched, total)

        if location.hub is not Hub.LOCAL or location.served is not None:
            self._see(replace(self.observation, fetching_since=self._effects.clock()))
        try:
            await in_thread(lambda: self._fetched(location, progress, cancel))
        finally:
            cancel.set()

    def _fetched(self, location: Location, progress: Progress, cancel: threading.Event) -> None:
        path = self._effects.fetch(location, progress, cancel)
        prepare(self.plan.model, path, Making(progress, cancel))  # checked, before an engine sees it

    async def _install(self) -> Held:
        """The environment to start in, made where it is Slipway's to make; cancelled, nothing half-made is left."""
        environment = self.plan.environment
        if not environment.made:
            return Held(Path(environment.python))
        loop, cancel = asyncio.get_running_loop(), threading.Event()

        def seen(doing: str) -> None:
            since = self.observation.installing_since or self._effects.clock()
            self._see(replace(self.observation, installing_since=since, installing=doing))

        def tell(doing: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody looks any more
                loop.call_soon_threadsafe(seen, doing)

        work = asyncio.ensure_future(in_thread(lambda: self._effects.install(environment, tell, cancel)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancel.set()
            await asyncio.wait({work}, timeout=STOP_GRACE_S)
            if work.done() and work.exception() is None:
                work.result().close()
            raise

    async def _start(self, python: Path) -> EngineProcess:
        self._see(replace(self.observation, starting_since=self._effects.clock()))
        process = await EngineProcess.start(self.plan.launch, self._log_path, self._effects.port(), python)
        self.process = process
        self._see(replace(self.observation, pid=process.pid, address=process.address))
        return process

    async def _probe(self, process: EngineProcess) -> None:
        """Return once the engine answers with our secret for our model; raise EngineFailed if it ends or never does."""
        ended = asyncio.ensure_future(process.wait())
        pause, longest = _PROBE_S
        try:
            async with asyncio.timeout(self.plan.launch.ready_timeout_s):
                while not await self._answers(process):
                    await asyncio.wait({ended}, timeout=pause)
                    if ended.done():
                        raise self._death(ended.result())
                    pause = min(longest, pause * 1.2)
        except TimeoutError:
            limit = self.plan.launch.ready_timeout_s
            raise EngineFailed(f"{self.plan.engine} did not answer within {limit:.0f} s of its start") from None
        finally:
            ended.cancel()

    async def _watch(self, process: EngineProcess) -> int:
        """The exit code, once the engine has ended; its log is kept within its size meanwhile."""
        while True:
            try:
                async with asyncio.timeout(_TRIM_S):
                    return await process.wait()
            except TimeoutError:
                await asyncio.to_thread(trim_log, self._log_path)

    async def _answers(self, process: EngineProcess) -> bool:
        """It is ready, takes our secret and serves our uid: another program on that port does not pass."""
        if await self._get(process, self.plan.launch.ready_path) is None:
            return False
        models = await self._get(process, "/v1/models")
        return models is not None and self.plan.uid in _model_ids(models)

    async def _get(self, process: EngineProcess, path: str) -> bytes | None:
        """The body of a 200; None for every other answer, and for none."""
        headers = {"Authorization": f"Bearer {process.secret}"}
        try:
            async with self._effects.session.get(process.address + path, headers=headers) as answer:
                return await answer.read() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def _death(self, code: int) -> EngineFailed:
        """The cause of the engine's end, in words."""
        engine, serving = self.plan.engine, self.observation.ready_since is not None
        if code in {-signal.SIGKILL, -signal.SIGTERM}:  # what its log says of earlier requests is not why
            told: str | None = "it was killed from outside"
            if code == -signal.SIGKILL:
                told = "it was killed from outside, as the kernel does when memory runs out"
        else:
            told = find_engine(engine).explain(log_tail(self._log_path, _EXPLAINED_LINES))
        stage = "while serving" if serving else "while starting"
        return EngineFailed(f"{engine} {_ending(code)} {stage}: {told or 'its log does not say why'}")

    def _fail(self, error: SlipwayError) -> None:
        code = self.process.process.returncode if self.process else None
        tail = log_tail(self._log_path, _TAIL_LINES) if self.process else ()
        failure = Failure(error.message, tail, code, type(error))
        self._see(replace(self.observation, failed_at=self._effects.clock(), failure=failure, ready_since=None))

    async def _end(self) -> None:
        try:
            await self._end_process()
        finally:
            if self._held is not None:
                self._held.close()

    async def _end_process(self) -> None:
        if self.process is None:
            return
        if self.observation.failure is None:
            self._see(replace(self.observation, stopping_since=self._effects.clock(), ready_since=None))
        ending = asyncio.ensure_future(self.process.stop(STOP_GRACE_S))
        while not ending.done():  # bounded by the grace; a second cancel must not leave the engine behind
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(ending)
        self._see(replace(self.observation, pid=None, address=None))

    def _see(self, observation: Observation) -> None:
        self.observation = observation
        self._on_change()


async def in_thread(call: Callable[[], T]) -> T:
    """Run ``call`` in a daemon thread of its own.

    A fetch takes hours: it must hold up neither the pool that plans and reads logs, nor the end of the process.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[], None]) -> None:
        if not done.done():
            settled()

    def work() -> None:
        try:
            settled = partial(done.set_result, call())
        except Exception as raised:
            settled = partial(done.set_exception, raised)
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, settled)

    threading.Thread(target=work, name="fetch", daemon=True).start()
    return await done


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _model_ids(body: bytes) -> set[str]:
    try:
        return {model["id"] for model in json.loads(body)["data"]}
    except (ValueError, KeyError, TypeError):
        return set()
