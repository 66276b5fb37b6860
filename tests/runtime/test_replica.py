"""A replica's life on a misbehaving engine: ready only when it answers, its failures named, nothing left running."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from slipway.control.reconcile import replica_phase
from slipway.deployment import Phase, Plan
from slipway.errors import Cancelled, EngineFailed, EnvironmentFailed, FetchFailed
from slipway.runtime.environments import Held
from slipway.runtime.ports import free_port
from slipway.runtime.replica import Effects, Install, Progress, Replica
from slipway.types import Environment, Location
from tests.plans import make_plan
from tests.runtime.test_process import alive, until_gone

BOUND_S = 15
FAKE = str(Path(__file__).parents[1] / "fake_engine.py")


def fetched(location: Location, progress: Progress, cancel: threading.Event) -> Path:
    progress(5, 5)
    return location.path or Path()


def fake_plan(*flags: str, timeout_s: float = BOUND_S, serves: str = "tiny") -> Plan:
    behaviour = json.dumps({"model": serves})
    argv = (sys.executable, FAKE, "--port", "{port}", "--behave", behaviour, *flags)
    return make_plan(argv=argv, timeout_s=timeout_s)


def no_install(environment: Environment, tell: Callable[[str], None], cancel: threading.Event) -> Held:
    raise AssertionError("the embedded engine has nothing to install")


def with_environment(plan: Plan) -> Plan:
    """The plan as an engine with an environment of its own has it."""
    environment = Environment("3.11", ("tinyengine==1.0",), False, "tinyengine-cpu", ("tinyengine",))
    return replace(plan, environment=environment, launch=replace(plan.launch, argv=("{python}", *plan.launch.argv[1:])))


Make = Callable[..., Replica]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes replicas whose tasks are ended with the test."""
    tasks: list[asyncio.Task[None]] = []
    async with aiohttp.ClientSession() as session, asyncio.timeout(BOUND_S):

        def start(
            plan: Plan,
            fetch: Callable[[Location, Progress, threading.Event], Path] = fetched,
            install: Install = no_install,
        ) -> Replica:
            effects = Effects(fetch, session, free_port, install)
            replica = Replica("tiny-0", plan, tmp_path / "tiny-0.log", effects, lambda: None)
            tasks.append(asyncio.create_task(replica.run()))
            return replica

        yield start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(replica: Replica, phase: Phase) -> None:
    async with asyncio.timeout(BOUND_S):
        while replica_phase(replica.observation) is not phase:
            await asyncio.sleep(0.01)


async def test_it_fetches_starts_and_is_ready_when_the_engine_answers(make: Make) -> None:
    replica = make(fake_plan("--start-delay-s", "0.2"))
    await until(replica, Phase.READY)
    seen = replica.observation
    assert seen.fetched_bytes == 5
    assert seen.fetching_since and seen.starting_since and seen.ready_since
    assert seen.fetching_since <= seen.starting_since < seen.ready_since
    assert seen.pid and alive(seen.pid)
    assert seen.address and seen.address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        (["--crash"], "llama.cpp exited with code .* while starting"),
        (["--exit-zero"], "exited with code 0 while starting"),
    ],
)
async def test_an_engine_that_ends_while_starting_is_named_with_its_log(
    make: Make, flags: list[str], cause: str
) -> None:
    replica = make(fake_plan(*flags))
    await until(replica, Phase.FAILED)
    failure = replica.observation.failure
    assert failure is not None
    with pytest.raises(EngineFailed, match=cause):
        raise failure.kind(failure.cause)


async def test_an_engine_that_never_answers_is_ended(make: Make) -> None:
    replica = make(fake_plan("--unready", timeout_s=0.5))
    await until(replica, Phase.STARTING)
    while replica.observation.pid is None:
        await asyncio.sleep(0.01)
    pid = replica.observation.pid
    await until(replica, Phase.FAILED)
    assert replica.observation.failure is not None
    assert "did not answer within" in replica.observation.failure.cause
    await until_gone(pid)


async def test_another_program_that_answers_on_the_port_is_not_taken_for_ours(make: Make) -> None:
    replica = make(fake_plan(serves="another", timeout_s=0.5))
    await until(replica, Phase.FAILED)
    assert replica.observation.ready_since is None


async def test_a_killed_engine_is_seen_and_said(make: Make) -> None:
    replica = make(fake_plan())
    await until(replica, Phase.READY)
    assert replica.process is not None
    replica.process.process.kill()
    await until(replica, Phase.FAILED)
    assert replica.observation.failure is not None
    assert "was ended by SIGKILL while serving: it was killed from outside" in replica.observation.failure.cause
    assert replica.observation.address is None


async def test_a_failed_fetch_starts_nothing(make: Make) -> None:
    def fails(location: Location, progress: Progress, cancel: threading.Event) -> Path:
        raise FetchFailed("the hub says no")

    replica = make(fake_plan(), fails)
    await until(replica, Phase.FAILED)
    failure = replica.observation.failure
    assert failure is not None
    assert (failure.kind, failure.cause) == (FetchFailed, "the hub says no")
    assert replica.process is None


async def test_cancelling_while_fetching_tells_the_fetcher(make: Make, tmp_path: Path) -> None:
    told = threading.Event()
    began = threading.Event()

    def slow(location: Location, progress: Progress, cancel: threading.Event) -> Path:
        began.set()
        if cancel.wait(BOUND_S):
            told.set()
        return Path()

    async with aiohttp.ClientSession() as session:
        replica = Replica(
            "tiny-0", fake_plan(), tmp_path / "a.log", Effects(slow, session, free_port, no_install), lambda: None
        )
        task = asyncio.create_task(replica.run())
        await asyncio.to_thread(began.wait, BOUND_S)
        task.cancel()
        await asyncio.wait({task})
        assert await asyncio.to_thread(told.wait, BOUND_S)


async def test_stopping_ends_the_engine_and_its_grandchildren(make: Make, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        replica = Replica(
            "tiny-0",
            fake_plan("--fork"),
            tmp_path / "b.log",
            Effects(fetched, session, free_port, no_install),
            lambda: None,
        )
        task = asyncio.create_task(replica.run())
        await until(replica, Phase.READY)
        pid = replica.observation.pid
        assert pid is not None
        children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        assert children
        task.cancel()
        await asyncio.wait({task})
        for each in (pid, *children):
            await until_gone(each)


async def test_an_error_of_our_own_is_told_and_ends_the_wait(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def broken(location: Location, progress: Progress, cancel: threading.Event) -> Path:
        raise ValueError("a bug")

    replica = make(fake_plan(), broken)
    await until(replica, Phase.FAILED)
    assert replica.observation.failure is not None
    assert "an error in Slipway itself" in replica.observation.failure.cause
    assert "ValueError: a bug" in caplog.text


async def test_the_log_of_an_earlier_launch_is_no_cause(make: Make, tmp_path: Path) -> None:
    (tmp_path / "tiny-0.log").write_text("std::bad_alloc\n")
    replica = make(fake_plan("--exit-zero"))
    await until(replica, Phase.FAILED)
    assert replica.observation.failure is not None
    assert "out of memory" not in replica.observation.failure.cause
    assert not any("bad_alloc" in line for line in replica.observation.failure.log_tail)


async def test_a_second_cancel_does_not_leave_the_engine_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.runtime.replica.STOP_GRACE_S", 0.5)
    async with aiohttp.ClientSession() as session:
        plan = fake_plan("--ignore-sigterm")
        replica = Replica(
            "tiny-0", plan, tmp_path / "a.log", Effects(fetched, session, free_port, no_install), lambda: None
        )
        task = asyncio.create_task(replica.run())
        await until(replica, Phase.READY)
        pid = replica.observation.pid
        assert pid is not None
        task.cancel()
        await until(replica, Phase.STOPPING)
        task.cancel()
        await asyncio.wait({task})
        assert not alive(pid)


async def test_a_fetch_that_hangs_holds_no_thread_of_the_pool_that_plans(make: Make) -> None:
    release = threading.Event()

    def hangs(location: Location, progress: Progress, cancel: threading.Event) -> Path:
        release.wait(BOUND_S)
        return Path()

    for _ in range(40):  # the pool has at most 32 threads
        make(fake_plan(), hangs)
    await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: "planned") == "planned"
    release.set()


async def test_the_environment_is_made_told_held_while_it_runs_and_let_go(make: Make, tmp_path: Path) -> None:
    go_on, held = threading.Event(), Held(tmp_path / "python", os.open("/dev/null", os.O_RDONLY))
    held.python.symlink_to(sys.executable)

    def install(environment: Environment, tell: Callable[[str], None], cancel: threading.Event) -> Held:
        tell(f"fetching {environment.requirements[0]}")
        go_on.wait(BOUND_S)
        return held

    replica = make(with_environment(fake_plan()), install=install)
    await until(replica, Phase.INSTALLING)
    assert replica.observation.installing == "fetching tinyengine==1.0"
    assert replica.process is None
    go_on.set()
    await until(replica, Phase.READY)
    assert replica.process is not None
    assert Path(f"/proc/{replica.process.pid}/cmdline").read_bytes().split(b"\0")[0] == str(held.python).encode()
    assert held.descriptor is not None
    replica.process.process.kill()
    await until(replica, Phase.FAILED)
    async with asyncio.timeout(BOUND_S):
        while held.descriptor is not None:
            await asyncio.sleep(0.01)


async def test_an_environment_that_cannot_be_made_is_told_and_nothing_is_started(make: Make) -> None:
    def fails(environment: Environment, tell: Callable[[str], None], cancel: threading.Event) -> Held:
        raise EnvironmentFailed("no such package")

    replica = make(with_environment(fake_plan()), install=fails)
    await until(replica, Phase.FAILED)
    failure = replica.observation.failure
    assert failure is not None
    assert (failure.kind, failure.cause) == (EnvironmentFailed, "no such package")
    assert replica.process is None


async def test_stopping_while_an_environment_is_made_waits_until_it_is_given_up(tmp_path: Path) -> None:
    begun, given_up = threading.Event(), threading.Event()

    def slow(environment: Environment, tell: Callable[[str], None], cancel: threading.Event) -> Held:
        begun.set()
        assert cancel.wait(BOUND_S)
        given_up.set()
        raise Cancelled("given up")

    async with aiohttp.ClientSession() as session:
        effects = Effects(fetched, session, free_port, slow)
        replica = Replica("tiny-0", with_environment(fake_plan()), tmp_path / "a.log", effects, lambda: None)
        task = asyncio.create_task(replica.run())
        assert await asyncio.to_thread(begun.wait, BOUND_S)
        task.cancel()
        await asyncio.wait({task})
        assert given_up.is_set()
