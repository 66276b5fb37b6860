"""One replica: fetch the weights, start the engine, probe until it answers, watch it until it ends.

A replica writes only its own observation. Whoever holds it calls `run` once and cancels it to stop it.
"""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from slipway.deployment import Failure, Observation, Plan
from slipway.engines import find_engine
from slipway.errors import EngineFailed, SlipwayError
from slipway.formats.gguf import read_gguf
from slipway.runtime.process import EngineProcess, log_tail
from slipway.types import Hub, Location

Progress = Callable[[int, int | None], None]
Fetch = Callable[[Location, Progress, threading.Event], Path]  # blocking; returns where the files are

STOP_GRACE_S = 10.0
_TAIL_LINES = 20
_PROBE_S = (0.01, 0.25)  # first and longest pause between two probes


@dataclass(frozen=True, slots=True)
class Effects:
    """What a replica needs from outside: the fetcher, an HTTP session for probes, the wall clock."""

    fetch: Fetch
    session: aiohttp.ClientSession
    clock: Callable[[], float] = time.time


class Replica:
    """``on_change`` is called, on the event loop, after every change of the observation."""

    def __init__(self, name: str, plan: Plan, log_path: Path, effects: Effects, on_change: Callable[[], None]) -> None:
        self.plan = plan
        self.process: EngineProcess | None = None
        self.observation = Observation(name, log_path=log_path)
        self._log_path = log_path
        self._effects = effects
        self._on_change = on_change

    async def run(self) -> None:
        """Serve until the engine ends or this is cancelled. Never raises but CancelledError: failures are observed."""
        try:
            await self._fetch()
            process = await self._start()
            await self._probe(process)
            self._observe(ready_since=self._effects.clock())
            raise self._death(await process.wait())
        except SlipwayError as error:
            self._fail(error)
        except OSError as error:
            self._fail(EngineFailed(f"the engine could not be started: {error}"))
        finally:
            await self._end()

    async def _fetch(self) -> None:
        location = self.plan.model.location
        loop = asyncio.get_running_loop()
        cancel = threading.Event()

        def progress(fetched: int, total: int | None) -> None:
            loop.call_soon_threadsafe(lambda: self._observe(fetched_bytes=fetched, fetch_total_bytes=total))

        if location.hub is not Hub.LOCAL:
            self._observe(fetching_since=self._effects.clock())
        try:
            path = await asyncio.to_thread(self._effects.fetch, location, progress, cancel)
            if path.suffix == ".gguf":
                await asyncio.to_thread(read_gguf, path)
        finally:
            cancel.set()

    async def _start(self) -> EngineProcess:
        self._observe(starting_since=self._effects.clock())
        self.process = await EngineProcess.start(self.plan.launch, self._log_path)
        self._observe(pid=self.process.pid, address=self.process.address)
        return self.process

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
        engine = self.plan.engine
        told = find_engine(engine).explain(log_tail(self._log_path, _TAIL_LINES * 3))
        stage = "while serving" if self.observation.ready_since else "while starting"
        if code == -signal.SIGKILL and told is None:
            told = "it was killed from outside, as the kernel does when memory runs out"
        return EngineFailed(f"{engine} {_ending(code)} {stage}: {told or 'its log does not say why'}")

    def _fail(self, error: SlipwayError) -> None:
        code = self.process.process.returncode if self.process else None
        tail = log_tail(self._log_path, _TAIL_LINES) if self.process else ()
        failure = Failure(error.message, tail, code, type(error))
        self._observe(failed_at=self._effects.clock(), failure=failure, ready_since=None)

    async def _end(self) -> None:
        if self.process is None:
            return
        if self.observation.failure is None:
            self._observe(stopping_since=self._effects.clock(), ready_since=None)
        await asyncio.shield(self.process.stop(STOP_GRACE_S))
        self._observe(pid=None, address=None)

    def _observe(self, **facts: object) -> None:
        self.observation = replace(self.observation, **facts)  # type: ignore[arg-type]
        self._on_change()


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
