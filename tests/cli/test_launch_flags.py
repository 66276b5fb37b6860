"""launch's flags become a request, and the request a body: tables, the seed pages' own lines, and slips."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from slipway.commands.launch import add_launch, body_of, read_request
from slipway.commands.parser import Parser
from slipway.errors import BadRequest
from slipway.parameters import PARAMETERS, LaunchRequest, request_from

SEEDS = Path(__file__).parents[1] / "seeds"


def request_of(line: str) -> LaunchRequest:
    parser = Parser("slipway launch", "")
    add_launch(parser)
    return read_request(parser.read(shlex.split(line)), parser)


def seed_lines() -> list[str]:
    lines = [line.strip() for page in sorted(SEEDS.glob("*.rst")) for line in page.read_text().splitlines()]
    return [line for line in lines if line.startswith("xinference ")]


def test_the_seed_pages_have_their_lines() -> None:
    assert len(seed_lines()) == 60


@pytest.mark.parametrize("line", seed_lines())
def test_the_seed_pages_lines_parse(line: str) -> None:
    filled = line.replace("${engine}", "vLLM").replace("${quantization}", "Int4")
    command, _, flags = filled.removeprefix("xinference ").partition(" ")
    assert command == "launch"
    request = request_of(flags)
    told = dict(re.findall(r"--([\w-]+) (\S+)", filled))
    assert request == LaunchRequest(
        model_name=told["model-name"],
        model_engine="vLLM",
        size=told["size-in-billions"],
        format=told["model-format"],
        quantization="Int4",
    )


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("-n pilot", {"model_name": "pilot"}),
        ("--model_name=pilot", {"model_name": "pilot"}),
        ("-n qwen -s 0.5", {"model_name": "qwen", "model_size_in_billions": "0_5"}),
        ("-n qwen -s0_5 -f ggufv2 -q q4_k_m", {"model_format": "ggufv2", "quantization": "q4_k_m"}),
        ("-n qwen -en llama.cpp -u mine -r 2", {"model_engine": "llama.cpp", "model_uid": "mine", "replica": 2}),
        ("-n qwen -t LLM --n-gpu auto", {"model_name": "qwen"}),
        ("-n qwen --n-gpu 0 --gpu-idx 0,1", {"n_gpu": 0, "gpu_idx": (0, 1)}),
        ("-n qwen -dh modelscope", {"download_hub": "modelscope"}),
        ("-mp /models/a.gguf", {"model_path": "/models/a.gguf"}),
        ("-n q --context-length 4096 --parallel 2", {"context_length": 4096, "parallel": 2}),
        ("-n q --n-batch 512", {"n_batch": "512"}),
        ("-n q --n_batch=512 --flash-attn", {"n_batch": "512", "flash_attn": True}),
        ("-n q --flash-attn --n-batch 512", {"n_batch": "512", "flash_attn": True}),
        ("-n q --rope-scale -0.5", {"rope_scale": "-0.5"}),
        ("-n q --rope-scaling '{\"factor\": 4}'", {"rope_scaling": '{"factor": 4}'}),
        ("-n q --draft=", {"draft": ""}),
    ],
)
def test_flags_become_a_body(line: str, body: dict[str, Any]) -> None:
    sent = body_of(request_of(line))
    assert {name: sent.get(name) for name in body} == body


def test_a_body_says_only_what_was_asked() -> None:
    assert body_of(request_of("-n pilot")) == {"model_name": "pilot"}


@pytest.mark.parametrize("line", ["-n q -s 7 -r 3 --gpu-idx 1,2 --n-batch 8", "-mp /a.gguf --n-gpu 0", "-n q -u x"])
def test_the_server_reads_the_request_that_was_sent(line: str) -> None:
    request = request_of(line)
    assert request_from(body_of(request)) == request


def test_a_path_is_sent_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert request_of("--model-path a.gguf").model_path == str(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-n q --model-nane x", "unknown flag --model-nane: did you mean --model-name?"),
        ("-n q --quantisation Int4", "did you mean --quantization?"),
        ("-n q --model_formt=gptq", "unknown flag --model_formt: did you mean --model-format?"),
        ("-n q --dryrun", "did you mean --dry-run?"),
        ("-n q --nowait", "did you mean --no-wait?"),
        ("-n q stray", "unknown argument stray"),
        ("-n q -z", "unknown flag -z"),
        ("-n q -r 0", "--replica (replica) is '0': expected a whole number of at least 1"),
        ("-n q -s seven", "--size-in-billions (model_size_in_billions) is 'seven'"),
        ("-n q -u /x", "--model-uid (model_uid) is '/x'"),
        ("-n q -t embedding", "only LLM models are served"),
        ("-n q --trust-remote-code", "trust_remote_code is refused"),
        ("-n", "expected one argument"),
        ("", "model_name is missing"),
        ("-n q -ak secret", "a key is not taken from the command line"),
        ("-n q --api-key=secret", "a key is not taken from the command line"),
        ("-n q --api_key secret", "a key is not taken from the command line"),
    ],
)
def test_bad_flags(line: str, told: str) -> None:
    with pytest.raises(BadRequest) as caught:
        request_of(line)
    assert told in caught.value.message
    assert "secret" not in caught.value.message


def test_no_abbreviations() -> None:
    assert request_of("-n q --quant Int4").engine_options == {"quant": "Int4"}


def test_every_parameter_has_its_flags() -> None:
    parser = Parser("slipway launch", "")
    add_launch(parser)
    told = parser.format_help()
    assert all(flag in told for parameter in PARAMETERS for flag in parameter.flags)
