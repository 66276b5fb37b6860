"""Phase and actions as tables."""

from dataclasses import replace

import pytest

from slipway.control.reconcile import Start, Stop, reconcile, replica_phase, status
from slipway.deployment import Deployment, Failure, Observation, Phase
from tests.plans import make_plan

PLAN = make_plan()
TWO = Deployment("tiny", PLAN, 2, 100.0)
SEEN = Observation("tiny-0", fetching_since=101)
INSTALLING = replace(SEEN, installing_since=101.5, installing="fetching torch")
STARTING = replace(INSTALLING, starting_since=102.0)
READY = replace(STARTING, ready_since=103.0)
FAILED = replace(STARTING, failure=Failure("out of memory"), failed_at=104.0)


@pytest.mark.parametrize(
    ("observation", "phase"),
    [
        (Observation("tiny-0"), Phase.PENDING),
        (SEEN, Phase.FETCHING),
        (INSTALLING, Phase.INSTALLING),
        (STARTING, Phase.STARTING),
        (READY, Phase.READY),
        (replace(READY, stopping_since=105.0), Phase.STOPPING),
        (FAILED, Phase.FAILED),
        (replace(FAILED, stopping_since=105.0), Phase.FAILED),
    ],
)
def test_the_phase_of_a_replica_is_the_latest_thing_that_happened(observation: Observation, phase: Phase) -> None:
    assert replica_phase(observation) is phase


@pytest.mark.parametrize(
    ("first", "second", "phase", "since"),
    [
        (SEEN, None, Phase.FETCHING, 101),
        (SEEN, INSTALLING, Phase.INSTALLING, 101.5),
        (INSTALLING, STARTING, Phase.STARTING, 102),
        (READY, STARTING, Phase.READY, 103),
        (READY, FAILED, Phase.READY, 103),
        (FAILED, STARTING, Phase.STARTING, 102),
        (FAILED, FAILED, Phase.FAILED, 104),
        (None, None, Phase.PENDING, 100),
    ],
)
def test_one_ready_replica_makes_a_deployment_ready_and_it_fails_when_all_have(
    first: Observation | None, second: Observation | None, phase: Phase, since: float
) -> None:
    seen = {name: each for name, each in (("tiny-0", first), ("tiny-1", second)) if each is not None}
    found = status(TWO, seen)
    assert (found.phase, found.since) == (phase, since)


def test_a_failed_replica_beside_a_ready_one_is_still_told() -> None:
    found = status(TWO, {"tiny-0": READY, "tiny-1": FAILED})
    assert found.failure == Failure("out of memory")


def test_what_is_missing_is_started_and_what_is_not_wanted_is_stopped() -> None:
    actions = reconcile([TWO], {"tiny-0": READY, "gone-0": READY})
    assert actions == (Stop("gone-0"), Start("tiny-1", PLAN))


def test_when_all_is_as_wanted_nothing_is_done_and_failed_replicas_are_left_to_be_seen() -> None:
    assert reconcile([TWO], {"tiny-0": READY, "tiny-1": FAILED}) == ()
