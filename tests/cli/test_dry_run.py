"""`slipway launch --dry-run`: no server is asked, nothing is written, and the plan is whole in both forms."""

import json
import shlex
from pathlib import Path

import pytest

from slipway.cli import main
from slipway.commands.dry_run import devices
from slipway.types import DeviceKind, Placement
from tests.cli.stub import Stub

LLAMA = ["launch", "--dry-run", "-n", "qwen1.5-chat", "-s", "0_5", "-f", "ggufv2", "-q", "q4_k_m"]


def test_the_plan_as_json(stub: Stub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LLAMA, "--json", "--context-length", "4096", "--parallel", "2", "-u", "mine"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"engine", "model", "source", "environment", "argv", "env", "memory", "devices", "verdicts"} <= set(told)
    assert (told["uid"], told["engine"]) == ("mine", "llama.cpp")
    assert told["model"] == {
        "family": "qwen1.5-chat",
        "format": "ggufv2",
        "size": "0_5",
        "quantization": "q4_k_m",
        "context_length": 4096,
        "parallel": 2,
    }
    assert told["memory"]["total_bytes"] == sum(term["bytes"] for term in told["memory"]["terms"])
    assert stub.asked == []
    assert not (tmp_path / "home").exists()


def test_the_plan_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(LLAMA) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("qwen1.5-chat: qwen1.5-chat ggufv2 0.5B q4_k_m, context ")
    assert lines[0].endswith("on llama.cpp")
    titles = [line for line in lines if not line.startswith(" ")][1:]
    assert titles[:5] == ["source:", "environment:", "memory:", "devices:", "engines:"]
    assert titles[-1] == "command:"
    assert any(line.startswith("  no        Transformers") for line in lines)
    main([*LLAMA, "--json"])
    assert shlex.split(lines[-1]) == json.loads(capsys.readouterr().out)["argv"]


@pytest.mark.parametrize("engine", ["vllm", "vLLM", "SGLang", "transformers", "Transformers"])
def test_a_plan_for_devices_that_are_not_here(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["launch", "-en", engine, "-n", "qwen1.5-chat", "-s", "7", "-f", "gptq", "-q", "Int4", "--dry-run"]
    assert main([*argv, "--json"], program="xinference") == 0
    assert json.loads(capsys.readouterr().out)["engine"].lower() == engine.lower()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["-n", "qwen1.5-chot"], "nearest: qwen1.5-chat"),
        (["-n", "qwen1.5-chat", "-en", "lama"], "nearest: llama.cpp"),
        (["-n", "qwen1.5-chat", "-s", "8"], "8"),
        (["-n", "qwen1.5-chat", "-f", "ggfu"], "ggufv2"),
        (["-n", "qwen1.5-chat", "-s", "7", "-q", "q4_k_n"], "q4_k_m"),
        (["-n", "qwen1.5-chat", "-s", "7", "-f", "gptq", "-en", "llama.cpp"], "llama.cpp reads GGUF files"),
        (["-n", "qwen1.5-chat", "-s", "0_5", "-f", "ggufv2", "--n-bach", "8"], "nearest: --n-batch"),
        (["-n", "qwen1.5-chat", "--model-nane", "x"], "did you mean --model-name?"),
        (["--model-path", "/nowhere/a.gguf"], "/nowhere/a.gguf"),
    ],
)
def test_what_cannot_be_planned(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "--dry-run", *argv]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("placement", "text"),
    [
        (Placement(DeviceKind.CPU, threads=1), "cpu, 1 thread"),
        (Placement(DeviceKind.CPU, threads=4), "cpu, 4 threads"),
        (Placement(DeviceKind.CUDA, (0, 1), 2), "2 cuda GPUs (0, 1)"),
        (Placement(DeviceKind.CUDA, (), 1, present=False), "1 cuda GPU: not on this machine"),
    ],
)
def test_devices_in_words(placement: Placement, text: str) -> None:
    assert devices(placement) == text
