"""The controller over a fleet that does what the test says."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from slipway.control.controller import Controller
from slipway.control.reconcile import Load
from slipway.deployment import Failure, Observation, Phase, Plan
from slipway.errors import Cancelled, Conflict, EngineFailed, FetchFailed, NotFound, NotReady
from slipway.parameters import LaunchRequest
from tests.plans import make_plan

BOUND_S = 5


class FakeFleet:
    """Replicas are whatever `see` says of them."""

    def __init__(self) -> None:
        self.seen: dict[str, Observation] = {}
        self.stopped: list[str] = []
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self.broken = False
        self._changed = asyncio.Event()

    def start(self, replica: str, plan: Plan) -> None:
        self.see(Observation(replica, fetching_since=1.0))

    def see(self, observation: Observation) -> None:
        self.seen[observation.replica] = observation
        self._changed.set()

    async def stop(self, replica: str) -> None:
        await self.may_stop.wait()
        self.stopped.append(replica)
        self.seen.pop(replica, None)
        self._changed.set()

    def observations(self) -> Mapping[str, Observation]:
        if self.broken:
            self.broken = False
            raise RuntimeError("a bug")
        return dict(self.seen)

    def secret(self, replica: str) -> str:
        return f"secret of {replica}"

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def close(self) -> None:
        for name in tuple(self.seen):
            await self.stop(name)


def planner(request: LaunchRequest, load: Load) -> Plan:
    return make_plan(request.uid or request.model_name)


@pytest.fixture
async def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture
async def controller(fleet: FakeFleet) -> AsyncIterator[Controller]:
    async with asyncio.timeout(BOUND_S), Controller(planner, fleet) as controller:
        yield controller


async def test_a_launch_is_ready_when_its_replica_answers_and_only_then_routed(
    controller: Controller, fleet: FakeFleet
) -> None:
    await controller.launch(LaunchRequest("tiny"))
    assert not controller.routes["tiny"].endpoints
    waiting = asyncio.create_task(controller.wait_ready("tiny"))
    fleet.see(Observation("tiny-0", starting_since=2.0, ready_since=3.0, address="http://127.0.0.1:1"))
    await waiting
    (endpoint,) = controller.routes["tiny"].endpoints
    assert (endpoint.address, endpoint.secret) == ("http://127.0.0.1:1", "secret of tiny-0")
    assert "secret" not in repr(endpoint)


async def test_the_names_of_adapters_are_routed_to_their_deployment(fleet: FakeFleet) -> None:
    def with_adapter(request: LaunchRequest, load: Load) -> Plan:
        planned = planner(request, load)
        return replace(planned, launch=replace(planned.launch, also_serves=("tiny:polite",)))

    async with asyncio.timeout(BOUND_S), Controller(with_adapter, fleet) as controller:
        await controller.launch(LaunchRequest("tiny"))
        fleet.see(Observation("tiny-0", starting_since=2.0, ready_since=3.0, address="http://127.0.0.1:1"))
        await controller.wait_ready("tiny")
        assert controller.routes["tiny:polite"] == controller.routes["tiny"]
        await controller.terminate("tiny")
        assert controller.routes == {}


@pytest.mark.parametrize("kind", [EngineFailed, FetchFailed])
async def test_who_waits_is_told_the_cause_with_the_end_of_the_log(
    controller: Controller, fleet: FakeFleet, kind: type[EngineFailed]
) -> None:
    await controller.launch(LaunchRequest("tiny"))
    fleet.see(Observation("tiny-0", failure=Failure("no memory left", ("line 1", "line 2"), 1, kind), failed_at=2.0))
    with pytest.raises(kind, match=r"no memory left\n.*\n  line 1\n  line 2"):
        await controller.wait_ready("tiny")


async def test_a_uid_is_taken_once_and_two_launches_at_once_do_not_share_it(controller: Controller) -> None:
    results = await asyncio.gather(
        controller.launch(LaunchRequest("tiny")), controller.launch(LaunchRequest("tiny")), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in results) == ["Conflict", "Deployment"]
    with pytest.raises(Conflict, match=r"already launched as 'tiny'.*slipway terminate"):
        await controller.launch(LaunchRequest("tiny"))


async def test_a_failed_launch_can_be_asked_for_again(controller: Controller, fleet: FakeFleet) -> None:
    await controller.launch(LaunchRequest("tiny"))
    fleet.see(Observation("tiny-0", failure=Failure("no"), failed_at=2.0))
    await controller.launch(LaunchRequest("tiny"))
    assert fleet.stopped == ["tiny-0"]
    assert controller.status("tiny").phase is Phase.FETCHING


async def test_terminating_ends_every_replica_and_cancels_who_waits(controller: Controller, fleet: FakeFleet) -> None:
    await controller.launch(LaunchRequest("tiny", replicas=2))
    waiting = asyncio.create_task(controller.wait_ready("tiny"))
    await asyncio.sleep(0)
    await controller.terminate("tiny")
    assert sorted(fleet.stopped) == ["tiny-0", "tiny-1"]
    assert controller.routes == {}
    with pytest.raises(Cancelled):
        await waiting
    with pytest.raises(NotFound):
        await controller.terminate("tiny")


async def test_an_unknown_uid_is_answered_with_the_nearest(controller: Controller) -> None:
    await controller.launch(LaunchRequest("pilot"))
    with pytest.raises(NotFound, match="did you mean pilot"):
        controller.status("pilto")


async def test_a_replica_that_ends_while_serving_is_no_longer_routed(controller: Controller, fleet: FakeFleet) -> None:
    await controller.launch(LaunchRequest("tiny"))
    ready = Observation("tiny-0", starting_since=2.0, ready_since=3.0, address="http://127.0.0.1:1")
    fleet.see(ready)
    await controller.wait_ready("tiny")
    fleet.see(replace(ready, ready_since=None, failure=Failure("killed"), failed_at=4.0))
    while controller.routes["tiny"].endpoints:
        await asyncio.sleep(0)
    assert controller.status("tiny").phase is Phase.FAILED


async def test_whoever_terminates_waits_for_the_end_and_it_happens_once(
    controller: Controller, fleet: FakeFleet
) -> None:
    await controller.launch(LaunchRequest("tiny"))
    fleet.may_stop.clear()
    first = asyncio.create_task(controller.terminate("tiny"))
    await asyncio.sleep(0)
    second = asyncio.create_task(controller.terminate("tiny"))
    await asyncio.sleep(0.01)
    assert not first.done()
    assert not second.done()
    assert controller.status("tiny").phase is Phase.STOPPING
    first.cancel()  # who asked first has left
    fleet.may_stop.set()
    await second
    assert fleet.stopped == ["tiny-0"]
    assert controller.statuses() == ()


async def test_a_closing_controller_launches_nothing_more(fleet: FakeFleet) -> None:
    planning, planned = threading.Event(), threading.Event()

    def slow(request: LaunchRequest, load: Load) -> Plan:
        planning.set()
        planned.wait(BOUND_S)
        return make_plan("tiny")

    async with asyncio.timeout(BOUND_S), Controller(slow, fleet) as controller:
        launching = asyncio.create_task(controller.launch(LaunchRequest("tiny")))
        await asyncio.to_thread(planning.wait, BOUND_S)
        await controller.close()
        planned.set()
        with pytest.raises(NotReady, match="stopping"):
            await launching
        assert fleet.seen == {}


async def test_an_error_while_working_on_a_change_does_not_end_the_work(
    controller: Controller, fleet: FakeFleet, caplog: pytest.LogCaptureFixture
) -> None:
    await controller.launch(LaunchRequest("tiny"))
    fleet.broken = True
    fleet.see(Observation("tiny-0", starting_since=2.0))
    while "a bug" not in caplog.text:
        await asyncio.sleep(0)
    fleet.see(Observation("tiny-0", starting_since=2.0, ready_since=3.0, address="http://127.0.0.1:1"))
    await controller.wait_ready("tiny")


async def test_a_launch_is_planned_beside_what_is_starting(fleet: FakeFleet) -> None:
    loads: list[Load] = []

    def noting(request: LaunchRequest, load: Load) -> Plan:
        loads.append(load)
        return make_plan(request.model_name)

    async with asyncio.timeout(BOUND_S), Controller(noting, fleet) as controller:
        await controller.launch(LaunchRequest("one", replicas=2))
        await controller.launch(LaunchRequest("two"))
        fleet.see(Observation("one-0", ready_since=3.0, address="http://127.0.0.1:1"))
        fleet.see(Observation("two-0", failure=Failure("no"), failed_at=4.0))
        await controller.launch(LaunchRequest("three"))
    assert [(load.replicas, len(load.starting)) for load in loads] == [(0, 0), (2, 2), (2, 1)]
