"""`slipway list`, `terminate`, `logs`."""

import json
import threading

import pytest

from slipway.cli import main
from slipway.client import remote_model
from slipway.commands.models import models_text
from tests.cli.process import command
from tests.cli.stub import Stub, model


def test_list(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states = {"pilot": [model()], "b": [model("b", "failed", failure={"cause": "out of memory"})]}
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "UID",
        "MODEL",
        "ENGINE",
        "FORMAT",
        "SIZE",
        "QUANTIZATION",
        "PHASE",
        "SINCE",
        "REPLICAS",
    ]
    assert lines[1].split()[:7] == ["pilot", "pilot", "llama.cpp", "ggufv2", "0.005", "q8_0", "ready"]
    assert lines[1].endswith("1/1")
    assert lines[2].endswith("0/1")
    assert lines[3] == "b failed: out of memory"
    assert stub.asked == [("GET", "/v1/models?all=true", {})]


def test_since_is_told_in_words() -> None:
    text = models_text((remote_model(model(phase_since=1000.0)),), 1000.0 + 200)
    assert "3 min 20 s" in text


def test_a_clock_that_is_behind() -> None:
    assert "0.0 s" in models_text((remote_model(model(phase_since=1000.0)),), 0.0)


def test_an_empty_list(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "no model is launched" in capsys.readouterr().out


def test_list_as_json(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states = {"pilot": [model()]}
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [model()]


@pytest.mark.parametrize("argv", [["pilot"], ["--model-uid", "pilot"], ["--model_uid=pilot"], ["-u", "pilot"]])
def test_terminate(argv: list[str], stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states = {"pilot": [model()]}
    assert main(["terminate", *argv]) == 0
    assert capsys.readouterr().out == "pilot is terminated\n"
    assert stub.states == {}


def test_terminate_tells_what_it_ended(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states = {"pilot": [model(phase="starting")]}
    assert main(["terminate", "pilot"]) == 0
    assert capsys.readouterr().out == "pilot is terminated: it was starting\n"


def test_an_end_that_takes_long_is_announced(stub: Stub) -> None:
    stub.states = {"pilot": [model()]}
    stub.holds["DELETE"] = threading.Event()
    with command("terminate", "pilot") as terminate:
        terminate.wait_for("ending pilot …\n")
        stub.holds["DELETE"].set()
        assert terminate.end() == 0
        assert terminate.text == "ending pilot …\npilot is terminated\n"


def test_terminate_what_is_not_there(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terminate", "pilot"]) == 1
    assert capsys.readouterr().err == "slipway: no model named 'pilot'\n"


@pytest.mark.parametrize(("argv", "told"), [([], "no model is named"), (["a", "-u", "b"], "two models are named")])
def test_terminate_needs_one_name(argv: list[str], told: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terminate", *argv]) == 2
    assert told in capsys.readouterr().err


def test_a_mistyped_flag(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terminate", "--model-uuid", "x"], program="xinference") == 2
    told = capsys.readouterr().err
    assert "xinference: unknown flag --model-uuid: did you mean --model-uid?" in told


@pytest.mark.parametrize(
    ("argv", "query"),
    [
        (["pilot"], "lines=200&follow=false"),
        (["-f", "--lines", "5", "-u", "pilot"], "lines=5&follow=true"),
    ],
)
def test_logs(argv: list[str], query: str, stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.log = "loading\nモデル ready\n"
    assert main(["logs", *argv]) == 0
    assert capsys.readouterr().out == stub.log
    assert stub.asked == [("GET", f"/v1/models/pilot/logs?{query}", {})]


def test_logs_of_no_lines(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "pilot", "--lines", "0"]) == 2
    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err
