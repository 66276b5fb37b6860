"""`slipway launch` against the stub: what it sends, what it shows, and how each failure ends."""

import json
from typing import Any

import pytest

from slipway.cli import main
from tests.cli.stub import Stub, error, model


def failed(**more: Any) -> dict[str, Any]:
    failure = {"cause": "not enough memory", "log_tail": [f"line {n}" for n in range(30)], "exit_code": 1}
    return model("pilot", "failed", failure=failure, **more)


def test_a_launch(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model(phase="pending"), model(phase="starting"), model(reasons=["engine llama.cpp: why"])]
    assert main(["launch", "--model-name", "pilot", "--n-batch", "512"]) == 0
    assert stub.asked[0] == ("POST", "/v1/models?wait_ready=false", {"n_batch": "512", "model_name": "pilot"})
    told = capsys.readouterr()
    assert told.err == "pilot: waiting for its turn\npilot: starting llama.cpp\n"
    first, why, talk, api, curl = told.out.splitlines()
    assert first.startswith("pilot is ready after 0.")
    assert first.endswith("(llama.cpp, ggufv2, q8_0)")
    assert why == "  engine llama.cpp: why"
    assert talk == "  talk:  slipway chat --model-uid pilot"
    assert api == f"  API:   {stub.address}/v1, model 'pilot'"
    assert curl.startswith(f"  curl {stub.address}/v1/chat/completions -H 'Content-Type: application/json' -d '{{")


def test_a_model_that_only_continues_texts(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model(model_ability=["generate"])]
    assert main(["launch", "-n", "pilot"]) == 0
    told = capsys.readouterr().out
    assert "slipway generate --model-uid pilot" in told
    assert "/v1/completions" in told


def test_the_curl_line_names_the_key_by_its_variable(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.key = "s3cret"
    monkeypatch.setenv("SLIPWAY_API_KEY", "s3cret")
    stub.states["pilot"] = [model()]
    assert main(["launch", "-n", "pilot"]) == 0
    told = capsys.readouterr().out
    assert '-H "Authorization: Bearer $SLIPWAY_API_KEY"' in told
    assert "s3cret" not in told


def test_json(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    assert main(["launch", "-n", "pilot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == model()


def test_no_wait(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "-n", "pilot", "--no-wait"]) == 0
    assert main(["launch", "-n", "pilot", "--no-wait", "--json"]) == 0
    text, told = capsys.readouterr().out.splitlines()
    assert text == "pilot is launching; `slipway list` tells its phase"
    assert json.loads(told) == {"model_uid": "pilot"}
    assert [how for how, _, _ in stub.asked] == ["POST", "POST"]


def test_a_launch_that_fails_while_starting(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model(phase="starting"), failed()]
    assert main(["launch", "-n", "pilot"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "slipway: pilot failed: not enough memory\n" in told.err
    assert "  | line 29\n" in told.err
    assert "| line 14\n" not in told.err  # the last lines alone
    assert "the whole log: `slipway logs pilot`" in told.err


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, error("no model named 'pilto'; nearest: pilot"), 2),
        (400, error("llama.cpp cannot run pytorch weights"), 2),
        (409, error("pilot is taken", "conflict_error"), 1),
        (503, error("it does not fit: weights 4.1 GiB", "insufficient_memory"), 1),
    ],
)
def test_a_launch_that_is_refused(
    status: int, body: dict[str, Any], code: int, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.launch = (status, body)
    assert main(["launch", "-n", "pilto"]) == code
    assert capsys.readouterr().err == f"slipway: {body['error']['message']}\n"


def replicas(*each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return model(replica=2, replicas=[{"replica": f"pilot-{n}", **one} for n, one in enumerate(each)], **more)


READY, STARTING = {"phase": "ready"}, {"phase": "starting"}


def test_every_replica_is_waited_for(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [replicas(READY, STARTING), replicas(READY, READY)]
    assert main(["launch", "-n", "pilot", "--replica", "2"]) == 0
    told = capsys.readouterr()
    assert told.err == "pilot: 1 of 2 replicas ready\n"
    assert told.out.splitlines()[0].endswith("(llama.cpp, ggufv2, q8_0, 2 of 2 replicas)")


def test_a_replica_that_fails_is_named(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [
        replicas(READY, STARTING),
        replicas(READY, {"phase": "failed", "cause": "it ran out of memory"}),
    ]
    assert main(["launch", "-n", "pilot", "--replica", "2"]) == 0
    first, warning, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("1 of 2 replicas)")
    assert warning == "  warning: pilot-1 failed: it ran out of memory"


def test_a_model_terminated_while_it_launches(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model(phase="starting"), None]
    assert main(["launch", "-n", "pilot"]) == 1
    assert "pilot is gone from the server" in capsys.readouterr().err


def test_no_server(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "-n", "pilot", "-e", f"http://127.0.0.1:{free_port}"]) == 1
    assert "start one with `slipway serve`" in capsys.readouterr().err
