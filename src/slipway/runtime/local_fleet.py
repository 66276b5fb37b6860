"""The fleet of this host: every replica is a task here and an engine process below it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from slipway.deployment import Observation, Plan
from slipway.runtime.ports import free_port
from slipway.runtime.replica import Effects, Fetch, Install, Replica


class LocalFleet:
    """Holds replicas and their tasks. No two replicas get the same port."""

    def __init__(self, logs: Path, fetch: Fetch, install: Install) -> None:
        self._logs = logs
        self._fetch = fetch
        self._install = install
        self._replicas: dict[str, Replica] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ports: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def start(self, replica: str, plan: Plan) -> None:
        if replica in self._tasks or self._closed:
            return
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), trust_env=False)
        effects = Effects(self._fetch, self._session, lambda: self._port(replica), self._install)
        held = Replica(replica, plan, self._logs / f"{replica}.log", effects, self._changed.set)
        self._replicas[replica] = held
        self._tasks[replica] = asyncio.create_task(held.run(), name=f"replica {replica}")
        self._changed.set()

    async def stop(self, replica: str) -> None:
        task = self._tasks.get(replica)
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._tasks.get(replica) is task:  # two may stop it; one of them may have started it anew since
            del self._tasks[replica], self._replicas[replica]
            self._ports.pop(replica, None)
        self._changed.set()

    def observations(self) -> Mapping[str, Observation]:
        return {name: replica.observation for name, replica in self._replicas.items()}

    def secret(self, replica: str) -> str:
        process = self._replicas[replica].process
        return process.secret if process else ""

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def close(self) -> None:
        self._closed = True
        async with asyncio.TaskGroup() as group:
            for name in tuple(self._tasks):
                group.create_task(self.stop(name))
        if self._session is not None:
            await self._session.close()

    def _port(self, replica: str) -> int:
        """A free port that no other replica was given: one that is starting has not bound its own yet."""
        while (port := free_port()) in self._ports.values():
            pass
        self._ports[replica] = port
        return port
