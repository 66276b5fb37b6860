"""Engine-neutral wishes: which engine has them, an engine's own flags for them, and the GPUs they ask for."""

from typing import Any

import pytest

from slipway.engines import ENGINES, find_engine
from slipway.engines.base import Engine
from slipway.engines.features import missing, with_own_flags
from slipway.errors import BadRequest
from slipway.parameters import LaunchRequest, request_from
from slipway.types import Features

ALL = {
    "tensor_parallel": 2,
    "pipeline_parallel": 2,
    "memory_fraction": 0.5,
    "quantization_method": "fp8",
    "lora_modules": "sql=/a",
    "draft_model": "/small",
    "draft_tokens": 3,
}


def asked(**values: Any) -> LaunchRequest:
    return request_from({"model_name": "m", **values})


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_has_a_wish_or_says_why_not(engine: Engine) -> None:
    for name, value in ALL.items():
        (wish,) = asked(**{name: value}).features.asked
        reason = missing(engine, asked(**{name: value}).features, ENGINES)
        assert (reason is not None) is (wish in engine.lacks)
        assert reason is None or (engine.name in reason and "vLLM" in reason), reason


def test_a_refusal_names_the_flag_the_reason_and_who_can() -> None:
    said = missing(find_engine("Transformers"), Features(lora=(("a", "/a"),)), ENGINES)
    assert said == (
        "--lora-modules is not for Transformers: its server reads no adapters; vLLM and SGLang and llama.cpp can"
    )
    assert missing(find_engine("llama.cpp"), Features(draft_model="ngram"), ENGINES) is None


@pytest.mark.parametrize(
    ("engine", "own", "value", "field", "expected"),
    [
        ("vLLM", "gpu-memory-utilization", "0.5", "memory_fraction", 0.5),
        ("vLLM", "max_model_len", "4096", "context_length", 4096),
        ("vLLM", "spec_model", "ngram", "draft_model", "ngram"),
        ("vLLM", "lora_modules", "a=/x,b=/y", "lora", (("a", "/x"), ("b", "/y"))),
        ("SGLang", "mem-fraction-static", 0.7, "memory_fraction", 0.7),
        ("SGLang", "lora-paths", ["a=/x"], "lora", (("a", "/x"),)),
        ("SGLang", "speculative_num_steps", 4, "draft_tokens", 4),
        ("llama.cpp", "model-draft", "/d.gguf", "draft_model", "/d.gguf"),
        ("llama.cpp", "n_parallel", "3", "parallel", 3),
    ],
)
def test_an_engines_own_flag_means_the_neutral_one(
    engine: str, own: str, value: Any, field: str, expected: object
) -> None:
    read = with_own_flags(asked(**{own: value, "other": 1}), (find_engine(engine),))
    assert getattr(read, field) == expected
    assert read.engine_options == {"other": 1}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_own_flags_are_nothing_else_too(engine: Engine) -> None:
    assert not set(engine.own_names) & {*engine.options, *engine.refused_options}
    assert all(hasattr(LaunchRequest("m"), field) for field in engine.own_names.values())
    assert set(engine.lacks) <= set(Features.__slots__)


def test_both_names_at_once_are_refused_and_so_are_bad_values() -> None:
    with pytest.raises(BadRequest, match="--gpu-memory-utilization is --memory-fraction: give one of them"):
        with_own_flags(asked(memory_fraction=0.5, gpu_memory_utilization=0.6), ENGINES)
    with pytest.raises(BadRequest, match=r"from 0\.01 to 1"):
        with_own_flags(asked(gpu_memory_utilization="1.5"), ENGINES)


@pytest.mark.parametrize(
    ("values", "gpus"),
    [
        ({"tensor_parallel": 2}, 2),
        ({"tensor_parallel": 2, "pipeline_parallel": 2}, 4),
        ({"pipeline_parallel": 2, "n_gpu": 4}, 4),
        ({"tp_size": 2, "pp_size": 2, "n_gpu": 4}, 4),
        ({"pipeline_parallel": 2}, 2),
        ({}, None),
    ],
)
def test_parallel_sizes_are_gpus(values: dict[str, Any], gpus: int | None) -> None:
    assert with_own_flags(asked(**values), ENGINES).n_gpu == gpus


@pytest.mark.parametrize(
    "values",
    [
        {"tensor_parallel": 2, "n_gpu": 3},
        {"pipeline_parallel": 2, "n_gpu": 3},
        {"tensor_parallel": 2, "n_gpu": 0},
        {"pipeline_parallel": 2, "gpu_idx": "0,1,2"},
    ],
)
def test_parallel_sizes_that_contradict_the_gpus_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="GPUs are asked for"):
        with_own_flags(asked(**values), ENGINES)


@pytest.mark.parametrize(
    "value",
    [
        "a=/x,b=/y",
        ["a=/x", "b=/y"],
        [["a", "/x"], ["b", "/y"]],
        {"a": "/x", "b": "/y"},
        {"lora_list": [{"lora_name": "a", "local_path": "/x"}, {"lora_name": "b", "local_path": "/y"}]},
    ],
)
def test_adapters_come_in_every_writing(value: Any) -> None:
    assert asked(lora_modules=value).lora == (("a", "/x"), ("b", "/y"))
    assert asked(peft_model_config=value).lora == (("a", "/x"), ("b", "/y"))


@pytest.mark.parametrize("value", ["/x", "a=", "=x", "a=/x,a=/y", "a b=/x", "a:b=/x", "a=--trust", 5, [5], {"a": 1}])
def test_adapters_that_make_no_sense_are_refused(value: Any) -> None:
    with pytest.raises(BadRequest, match="lora_modules"):
        asked(lora_modules=value)
