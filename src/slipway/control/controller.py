"""The controller: takes launches, keeps what is wanted, and works until what is seen agrees with it.

One task owns the work (`_run`); everyone else changes the store and wakes it, or reads a snapshot.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from slipway.control.reconcile import Load, Start, Status, Stop, load, reconcile, replica_names, replica_phase, status
from slipway.control.routes import Endpoint, Route, Routes
from slipway.control.store import Store, taken
from slipway.deployment import Deployment, Failure, Phase, Plan
from slipway.errors import Cancelled, NotFound, NotReady
from slipway.parameters import LaunchRequest
from slipway.runtime.fleet import Fleet

log = logging.getLogger(__name__)


Look = Callable[[LaunchRequest], LaunchRequest]  # blocking: asks the hubs what has to be known before planning
Planner = Callable[[LaunchRequest, Load], Plan]  # blocking


def look_nowhere(request: LaunchRequest) -> LaunchRequest:
    """A request whose plan needs no hub."""
    return request


class Controller:
    """`start` begins the work, `close` ends it and every replica; an async context manager does both."""

    def __init__(
        self, planner: Planner, fleet: Fleet, clock: Callable[[], float] = time.time, look: Look = look_nowhere
    ) -> None:
        self.routes: Routes = {}
        self._look = look
        self._planner = planner
        self._fleet = fleet
        self._clock = clock
        self._store = Store()
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._phases: dict[str, Phase] = {}  # as last logged
        self._launching = asyncio.Lock()
        self._news = asyncio.Condition()
        self._owner: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> "Controller":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        """Start the owner task; needs a running event loop."""
        self._owner = asyncio.create_task(self._run(), name="controller")

    async def launch(self, request: LaunchRequest) -> Deployment:
        """Plan and take a launch; returns at once. A failed deployment of the same uid is replaced."""
        request = await asyncio.to_thread(self._look, request)  # a slow hub holds no other launch up
        async with self._launching:  # a uid is checked and taken in one step
            plan = await asyncio.to_thread(self._planner, request, load(self._store.all(), self._fleet.observations()))
            if self._closed:
                raise NotReady("the server is stopping and launches nothing more", code="server_stopping")
            if any(each.uid == plan.uid for each in self._store.all()):
                if self.status(plan.uid).phase is not Phase.FAILED:
                    raise taken(plan.uid)
                await self.terminate(plan.uid)
            deployment = Deployment(plan.uid, plan, request.replicas, self._clock())
            self._store.add(deployment)
        model = plan.model
        log.info(
            "%s: launch %s %s %s on %s", plan.uid, model.family.name, model.format, model.quantization, plan.engine
        )
        await self._reconcile()
        return deployment

    async def wait_ready(self, uid: str) -> None:
        """Return when it answers. Raises the failure of its replicas, or Cancelled if it was terminated meanwhile."""
        self._store.get(uid)
        async with self._news:
            await self._news.wait_for(lambda: self._settled(uid))
        try:
            now = self.status(uid)
        except NotFound:
            raise Cancelled(f"the launch of {uid} was cancelled", code="launch_cancelled") from None
        if now.phase is Phase.STOPPING:
            raise Cancelled(f"the launch of {uid} was cancelled", code="launch_cancelled")
        if now.failure is not None and now.phase is Phase.FAILED:
            raise now.failure.kind(in_words(now.failure), code="launch_failed")

    async def terminate(self, uid: str) -> None:
        """End a deployment; returns when all its processes have ended, whoever asked first. Raises NotFound."""
        deployment = self._store.get(uid)
        if uid not in self._stopping:
            self._stopping[uid] = asyncio.create_task(self._end(deployment), name=f"end {uid}")
        await asyncio.shield(self._stopping[uid])

    def status(self, uid: str) -> Status:
        """Raises NotFound, with the nearest uids."""
        return status(self._store.get(uid), self._fleet.observations(), uid in self._stopping)

    def statuses(self) -> tuple[Status, ...]:
        return tuple(self.status(deployment.uid) for deployment in self._store.all())

    async def close(self) -> None:
        """End every replica; what was wanted is forgotten. Bounded by the grace of one engine."""
        self._closed = True
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
            self._owner = None
        self.routes = {}
        await self._fleet.close()
        if self._stopping:
            await asyncio.wait(self._stopping.values())

    async def _end(self, deployment: Deployment) -> None:
        try:
            await self._publish()
            async with asyncio.TaskGroup() as group:
                for name in replica_names(deployment):
                    group.create_task(self._fleet.stop(name))
        finally:
            self._store.remove(deployment.uid)
            del self._stopping[deployment.uid]
            await self._publish()

    async def _run(self) -> None:
        while True:
            await self._fleet.changed()
            try:
                await self._reconcile()
            except Exception:  # the loop's boundary: the next change is worked on all the same
                log.exception("a change could not be worked on")

    async def _reconcile(self) -> None:
        desired = [each for each in self._store.all() if each.uid not in self._stopping]
        ending = {name for uid in self._stopping for name in replica_names(self._store.get(uid))}
        stops = []
        for action in reconcile(desired, self._fleet.observations()):
            match action:
                case Start(replica=name, plan=plan):
                    self._fleet.start(name, plan)
                case Stop(replica=name) if name not in ending:
                    stops.append(name)
        await self._publish()
        for name in stops:
            await self._fleet.stop(name)

    async def _publish(self) -> None:
        """Make the snapshot of what can be asked, log what has changed, and wake who waits for news."""
        now = self.statuses()
        own = {each.deployment.uid: self._route(each) for each in now}
        adapters = {name: own[each.deployment.uid] for each in now for name in each.deployment.plan.launch.also_serves}
        self.routes = {**adapters, **own}
        self._log(now)
        async with self._news:
            self._news.notify_all()

    def _route(self, status: Status) -> Route:
        if status.phase is Phase.STOPPING:
            return Route(status.deployment.uid, ())
        ready = [each for each in status.observations if replica_phase(each) is Phase.READY]
        endpoints = (Endpoint(each.replica, each.address or "", self._fleet.secret(each.replica)) for each in ready)
        return Route(status.deployment.uid, tuple(endpoints))

    def _log(self, now: tuple[Status, ...]) -> None:
        for each in now:
            uid = each.deployment.uid
            if self._phases.get(uid) is not each.phase:
                level = logging.WARNING if each.phase is Phase.FAILED else logging.INFO
                cause = f": {each.failure.cause}" if each.failure else ""
                log.log(level, "%s: %s%s", uid, each.phase, cause)
        for uid in self._phases.keys() - {each.deployment.uid for each in now}:
            log.info("%s: ended", uid)
        self._phases = {each.deployment.uid: each.phase for each in now}

    def _settled(self, uid: str) -> bool:
        try:
            return self.status(uid).phase in {Phase.READY, Phase.FAILED, Phase.STOPPING}
        except NotFound:
            return True


def in_words(failure: Failure) -> str:
    """The cause and the end of the log, as a launch that fails tells it."""
    if not failure.log_tail:
        return failure.cause
    return f"{failure.cause}\nThe last lines of its log:\n" + "\n".join(f"  {line}" for line in failure.log_tail)
