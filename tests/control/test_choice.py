"""What is chosen for the user, as tables: engine, format and quantization, context and parallel, devices, threads."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import slipway
from slipway.catalogue.catalogue import load_catalogue
from slipway.control.choice import less, threads_share
from slipway.control.planner import PlanContext, check, plan
from slipway.engines import find_engine
from slipway.errors import BadRequest, DoesNotFit, Refused, UnknownName, UnknownOption
from slipway.parameters import LaunchRequest, request_from
from slipway.runtime.environments import Environments
from slipway.settings import load_settings
from slipway.types import DeviceKind, Gpu, Machine
from tests.wheels import made_up

GIB = 1024**3
CPU = Machine(cores=8, memory_bytes=32 * GIB, available_bytes=24 * GIB)
SMALL = replace(CPU, cores=2, available_bytes=2 * GIB)
CATALOGUE = load_catalogue()
SETTINGS = load_settings({"SLIPWAY_HOME": "/nowhere"})


def gpus(count: int, gib: int = 80) -> Machine:
    cards = tuple(Gpu(DeviceKind.CUDA, number, "card", gib * GIB, gib * GIB) for number in range(count))
    return replace(CPU, gpus=cards)


def context(machine: Machine = CPU, running: int = 0) -> PlanContext:
    return PlanContext(CATALOGUE, machine, SETTINGS, running)


def test_the_pilot_on_a_cpu_is_its_gguf_on_llama_cpp_and_says_why() -> None:
    planned = plan(LaunchRequest("pilot"), context())
    assert (planned.engine, str(planned.model.format), planned.model.quantization) == ("llama.cpp", "ggufv2", "q8_0")
    assert any(
        reason.startswith("engine llama.cpp: it is ready; vLLM, ") and "can run it too" in reason
        for reason in planned.reasons
    )
    assert planned.warnings == ()
    check(planned, LaunchRequest("pilot"), CPU)


@pytest.mark.parametrize(
    ("machine", "size", "quantization"),
    [(CPU, "0_5", "q8_0"), (CPU, "7", "q8_0"), (CPU, "32", "q4_k_m"), (CPU, "72", "q2_k"), (SMALL, "4", "q2_k")],
)
def test_the_most_precise_quantization_that_fits_is_chosen(machine: Machine, size: str, quantization: str) -> None:
    planned = plan(LaunchRequest("qwen1.5-chat", size=size, format="ggufv2"), context(machine))
    assert planned.model.quantization == quantization
    assert any("fits" in reason for reason in planned.reasons)


def test_without_a_size_the_smallest_is_chosen_and_the_others_are_named() -> None:
    planned = plan(LaunchRequest("qwen1.5-chat"), context())
    assert planned.model.spec.size == "0_5"
    assert any("size 0_5: the smallest" in reason and "110" in reason for reason in planned.reasons)


def test_a_shorter_context_is_chosen_where_the_usual_does_not_fit_but_not_where_it_is_asked_for() -> None:
    request = LaunchRequest("qwen1.5-chat", size="1_8", quantization="q4_0")
    lowered = plan(request, context(SMALL))
    assert lowered.demand.context_length * lowered.demand.parallel < 4 * 8192
    assert lowered.memory.total_bytes <= SMALL.available_bytes
    assert any("lowered so that it fits" in reason for reason in lowered.reasons)
    asked = replace(request, context_length=32768, parallel=4)
    planned = plan(asked, context(SMALL))
    assert (planned.demand.context_length, planned.demand.parallel) == (32768, 4)
    with pytest.raises(DoesNotFit, match=r"weights .* \+ kv_cache .* = .* free on cpu.*--context-length"):
        check(planned, asked, SMALL)


def test_replicas_must_fit_together() -> None:
    request = LaunchRequest("qwen1.5-chat", size="7", quantization="q4_0", context_length=2048, parallel=1, replicas=9)
    with pytest.raises(DoesNotFit, match="9 times"):
        check(plan(request, context()), request, CPU)


@pytest.mark.parametrize(
    ("machine", "size", "count"),
    [(gpus(1), "7", 1), (gpus(8), "72", 4), (gpus(8, 40), "72", 8), (gpus(4, 24), "14", 2)],
)
def test_as_many_gpus_as_it_needs_and_the_heads_allow(machine: Machine, size: str, count: int) -> None:
    request = LaunchRequest("qwen1.5-chat", model_engine="vllm", size=size, format="pytorch", parallel=1)
    planned = plan(request, context(machine))
    assert (planned.placement.kind, planned.placement.count, planned.placement.present) == (
        DeviceKind.CUDA,
        count,
        True,
    )
    assert len(planned.placement.indexes) == count


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gpu_indexes": (0, 5)}, r"--gpu-idx names \[5\], and this machine has 0, 1"),
        ({"gpu_indexes": (0, 1), "n_gpu": 1}, "--n-gpu is 1, but --gpu-idx names 2"),
        ({"context_length": 40000}, "reads at most 32768"),
    ],
)
def test_what_the_machine_or_model_lacks_is_said(fields: dict[str, object], message: str) -> None:
    request = replace(LaunchRequest("qwen1.5-chat", model_engine="vllm", size="7", format="awq"), **fields)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match=message):
        plan(request, context(gpus(2)))


def test_gpus_given_are_the_gpus_taken() -> None:
    request = LaunchRequest("qwen1.5-chat", model_engine="vllm", size="7", format="awq", gpu_indexes=(1,))
    planned = plan(request, context(gpus(2)))
    assert planned.placement.indexes == (1,)
    assert planned.launch.env["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (LaunchRequest("qwen1.5-cat"), UnknownName, "nearest: qwen1.5-chat"),
        (LaunchRequest("pilot", model_engine="vlm"), UnknownName, "nearest: vLLM"),
        (LaunchRequest("qwen1.5-chat", size="8"), UnknownName, "there are: .*0_5"),
        (LaunchRequest("qwen1.5-chat", size="7", format="safetensors"), UnknownName, "there are: .*pytorch"),
        (LaunchRequest("qwen1.5-chat", size="7", quantization="q4_k"), UnknownName, "nearest: .*q4_k_m"),
        (LaunchRequest("pilot", download_hub="hugface"), UnknownName, "nearest: huggingface"),
        (LaunchRequest("llama-2-chat", size="70", format="awq", download_hub="modelscope"), BadRequest, "huggingface"),
        (LaunchRequest("pilot", model_engine="sglang", format="ggufv2"), Refused, "SGLang cannot run pilot"),
        (LaunchRequest("pilot", engine_options={"n_bach": 1}), UnknownOption, "nearest: --n-batch"),
        (LaunchRequest("pilot", engine_options={"trust_remote_code": "1"}), UnknownOption, "never executed"),
    ],
)
def test_bad_input_is_answered_with_what_is_wrong_and_what_exists(
    request_: LaunchRequest, error: type[BadRequest], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan(request_, context())


def test_an_engine_with_an_environment_of_its_own_can_be_launched_and_the_plan_says_what_is_made() -> None:
    request = LaunchRequest("qwen1.5-chat", model_engine="transformers", size="0_5", format="pytorch")
    planned = plan(request, context())
    check(planned, request, CPU)
    assert planned.environment.made
    assert planned.as_json()["environment"]["lock"] == "transformers-cpu"
    assert planned.launch.argv[0] == "{python}"
    assert any("environment: made at the launch, about 1.3 GiB" in reason for reason in planned.reasons)


@pytest.mark.parametrize(
    ("machine", "engine"),
    [(CPU, "Transformers"), (gpus(1), "vLLM")],
)
def test_on_a_cpu_the_engine_that_is_installed_is_taken_and_a_gpu_is_worth_the_wait(
    machine: Machine, engine: str, tmp_path: Path
) -> None:
    settings = load_settings({"SLIPWAY_HOME": str(tmp_path)})
    request = LaunchRequest("qwen1.5-chat", size="0_5", format="pytorch", quantization="none")
    wanted = PlanContext(CATALOGUE, machine, settings)
    assert plan(request, wanted).engine == "vLLM"
    environment = find_engine("transformers").environment(DeviceKind.CPU)
    Environments(settings.environments, made_up).hold(environment, lambda _: None, threading.Event()).close()
    assert plan(request, wanted).engine == engine


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"engine_python": sys.executable}, "say which with --model-engine"),
        ({"engine_python": sys.executable, "model_engine": "llama.cpp"}, "leave out --engine-python"),
        ({"engine_python": "/nowhere/python", "model_engine": "vllm"}, "no program is there"),
        ({"engine_python": sys.executable, "model_engine": "vllm"}, "cannot run vllm: .*No module named vllm"),
    ],
)
def test_an_interpreter_named_in_vain_is_refused(fields: dict[str, str], message: str) -> None:
    format_ = "ggufv2" if fields.get("model_engine") == "llama.cpp" else None
    request = LaunchRequest("qwen1.5-chat", size="0_5", format=format_, **fields)  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match=message):
        plan(request, context())


def test_an_interpreter_that_is_named_runs_the_engine(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho \'{"vllm": "0.30.0"}\'\n')
    python.chmod(0o755)
    request = LaunchRequest(
        "qwen1.5-chat", model_engine="vllm", size="0_5", format="pytorch", engine_python=str(tmp_path)
    )
    planned = plan(request, context())
    assert planned.launch.argv[0] == planned.environment.python == str(python)
    assert not planned.environment.made
    assert f"environment: {python}, as it is, with vllm 0.30.0" in planned.reasons


@pytest.mark.parametrize(("cores", "replicas", "threads"), [(2, 1, 2), (2, 2, 1), (2, 3, 1), (16, 3, 5), (1, 1, 1)])
def test_threads_are_shared_out(cores: int, replicas: int, threads: int) -> None:
    assert threads_share(cores, replicas, 1024**3) == threads


def test_a_very_small_model_gets_one_thread() -> None:
    assert threads_share(16, 1, 4 * 1024**2) == 1
    assert plan(LaunchRequest("pilot"), context(replace(CPU, cores=16))).placement.threads == 1


def test_a_second_model_gets_its_share_of_the_cores() -> None:
    two = replace(CPU, cores=2)
    request = LaunchRequest("qwen1.5-chat", size="0_5", format="ggufv2")
    assert plan(request, context(two)).placement.threads == 2
    assert plan(request, context(two, running=1)).placement.threads == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "model_name is missing"),
        ({"model_name": "pilot", "model_size_in_billions": "big"}, "--size-in-billions.*'big'.*billions"),
        ({"model_name": "pilot", "replica": 0}, "--replica.*at least 1"),
        ({"model_name": "pilot", "model_uid": "a b"}, "--model-uid"),
        ({"model_name": "pilot", "trust_remote_code": True}, "never executed"),
        ({"model_name": "pilot", "model_type": "embedding"}, "only LLM"),
    ],
)
def test_bad_launch_parameters_name_the_parameter(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        request_from(values)


@pytest.mark.parametrize(("given", "size"), [(7, "7"), ("0_5", "0_5"), (0.5, "0_5"), ("1.8", "1_8"), ("70B", "70")])
def test_sizes_are_read_in_every_writing(given: object, size: str) -> None:
    assert request_from({"model_name": "x", "model_size_in_billions": given}).size == size


def test_memory_promised_to_a_starting_replica_is_not_promised_twice() -> None:
    request = LaunchRequest("qwen1.5-chat", size="7", format="pytorch", model_engine="vllm")
    first = plan(request, context(gpus(2)))
    left = less(gpus(2), [first, first])
    assert left.gpus[0].free_bytes == 80 * GIB - 2 * first.memory.total_bytes
    assert left.gpus[1].free_bytes == 80 * GIB
    on_cpu = plan(LaunchRequest("pilot"), context())
    assert less(CPU, [on_cpu]).available_bytes == CPU.available_bytes - on_cpu.memory.total_bytes
    assert less(CPU, [on_cpu] * 10_000).available_bytes == 0


def test_gguf_is_chosen_before_the_format_that_has_to_be_converted() -> None:
    planned = plan(LaunchRequest("llama-2-chat", size="7"), context())
    assert str(planned.model.format) == "ggufv2"
    check(planned, LaunchRequest("llama-2-chat", size="7"), CPU)
    old = LaunchRequest("llama-2-chat", size="7", format="ggmlv3", quantization="q4_0")
    check(plan(old, context()), old, CPU)


def test_asking_for_gpus_plans_for_gpus_where_there_are_none_too() -> None:
    request = LaunchRequest("qwen1.5-chat", model_engine="vllm", size="7", format="awq", n_gpu=2)
    planned = plan(request, context())
    assert (planned.placement.kind, planned.placement.count, planned.placement.present) == (DeviceKind.CUDA, 2, False)
    assert plan(LaunchRequest("qwen1.5-chat", size="7", n_gpu=1), context(gpus(2))).placement.kind is DeviceKind.CUDA
    on_cpu = plan(LaunchRequest("qwen1.5-chat", size="0_5", n_gpu=0), context(gpus(2)))
    assert (on_cpu.engine, on_cpu.placement.kind) == ("llama.cpp", DeviceKind.CPU)


def test_where_nothing_fits_the_terms_are_those_of_the_least_demand() -> None:
    request = LaunchRequest("qwen1.5-chat", size="72", format="ggufv2", quantization="q2_k")
    planned = plan(request, context(SMALL))
    assert (planned.demand.context_length, planned.demand.parallel) == (2048, 1)
    with pytest.raises(DoesNotFit):
        check(planned, request, SMALL)


@pytest.mark.parametrize("quantization", ["8-bit", "4-bit"])
def test_a_checkpoint_at_a_path_is_quantized_while_it_loads(quantization: str) -> None:
    path = str(Path(slipway.__file__).parent / "pilot")
    request = LaunchRequest("mine", model_engine="transformers", model_path=path, quantization=quantization)
    planned = plan(request, context())
    assert planned.model.quantization == quantization
    assert planned.launch.argv[planned.launch.argv.index("--quantize") + 1] == quantization
