"""A model whose engine's environment is being made, as clients see it."""

from slipway.client import remote_model
from slipway.commands.progress import phase_line
from slipway.commands.waiting import failure_of
from slipway.control.reconcile import status
from slipway.deployment import Deployment, Failure, Observation, Phase
from slipway.errors import EnvironmentFailed
from slipway.gateway.xinference import describe
from tests.plans import make_plan

DEPLOYMENT = Deployment("tiny", make_plan(), 2, 100.0)
DOING = "fetching torch: 20.0 MiB of 183.0 MiB"


def test_what_is_done_is_told_as_long_as_it_is_done() -> None:
    waiting = Observation("tiny-0", installing_since=101.0, installing=DOING)
    told = describe(status(DEPLOYMENT, {"tiny-0": waiting, "tiny-1": Observation("tiny-1")}))
    assert (told["phase"], told["phase_since"], told["installing"]) == ("installing", 101.0, DOING)
    seen = remote_model(told)
    assert (seen.phase, seen.installing) == (Phase.INSTALLING, DOING)
    assert phase_line(seen, 3.0) == f"tiny: making llama.cpp's environment: {DOING}, 3.0 s"
    started = Observation("tiny-0", installing_since=101.0, installing=DOING, starting_since=102.0)
    assert describe(status(DEPLOYMENT, {"tiny-0": started}))["installing"] is None


def test_a_failure_to_make_it_is_told_as_one() -> None:
    failed = Observation("tiny-0", installing_since=101.0, failed_at=102.0, failure=Failure("no such package"))
    error = failure_of(remote_model(describe(status(DEPLOYMENT, {"tiny-0": failed}))), Phase.INSTALLING)
    assert isinstance(error, EnvironmentFailed)
    assert "no such package" in error.message
