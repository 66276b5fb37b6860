"""Engine options: schema, values as text and typed, suggestions, refusals; llama.cpp's against the real parameters."""

from typing import Any

import pytest

from slipway.engines import ENGINES, find_engine, read_options
from slipway.engines.base import Engine
from slipway.engines.llama_cpp_server import _ATTRIBUTES
from slipway.errors import UnknownOption

LLAMA, VLLM = find_engine("llama.cpp"), find_engine("vllm")


@pytest.mark.parametrize(
    ("engine", "name", "value", "expected"),
    [
        ("llama.cpp", "n_batch", "1024", ("n_batch", 1024)),
        ("llama.cpp", "n-batch", 1024, ("n_batch", 1024)),
        ("llama.cpp", "n-gpu-layers", "-1", ("n_gpu_layers", -1)),
        ("llama.cpp", "kv-unified", "on", ("kv_unified", True)),
        ("llama.cpp", "kv-unified", False, ("kv_unified", False)),
        ("llama.cpp", "cache-type-k", "Q8_0", ("cache_type_k", "q8_0")),
        ("llama.cpp", "flash_attn_type", True, ("flash_attn_type", "enabled")),
        ("llama.cpp", "rope_freq_scale", "0.25", ("rope_freq_scale", 0.25)),
        ("vLLM", "cpu-offload-gb", "0.5", ("cpu_offload_gb", 0.5)),
        ("vLLM", "enforce-eager", True, ("enforce_eager", True)),
        ("SGLang", "attention-backend", "triton", ("attention_backend", "triton")),
        ("Transformers", "attn_implementation", "eager", ("attn_implementation", "eager")),
    ],
)
def test_values_come_as_text_or_typed(engine: str, name: str, value: Any, expected: tuple[str, Any]) -> None:
    assert read_options(find_engine(engine), {name: value}) == dict([expected])


@pytest.mark.parametrize(
    ("engine", "name", "value", "says"),
    [
        ("llama.cpp", "n_batches", 1, r"no option --n-batches; nearest: --n-batch"),
        ("llama.cpp", "zzz", 1, r"llama\.cpp has no option --zzz; there are: --n-batch"),
        ("llama.cpp", "n_batch", "many", r"--n-batch of llama\.cpp is 'many': expected a whole number of at least 1"),
        ("llama.cpp", "n_batch", True, r"a whole number"),
        ("llama.cpp", "n_batch", 1.5, r"a whole number"),
        ("llama.cpp", "cache_type_k", "q3", r"expected one of f32, f16"),
        ("llama.cpp", "kv_unified", "perhaps", r"expected true or false"),
        ("llama.cpp", "n_ctx", 4096, r"use --context-length"),
        ("llama.cpp", "host", "0.0.0.0", r"engines listen on loopback"),  # noqa: S104
        ("vLLM", "cpu_offload_gb", "nan", r"expected a number from 0 to 4096"),
        ("vLLM", "cpu_offload_gb", "5000", r"expected a number from 0 to 4096"),
        ("vLLM", "load_format", "pt", r"expected one of safetensors"),
        ("SGLang", "load_format", "npcache", r"expected one of safetensors"),
        ("vLLM", "hf_overrides", '{"text_config": {"auto_map": {"AutoModel": "x.y"}}}', r"without auto_map"),
        (
            "vLLM",
            "compilation_config",
            '{"pass_config": {}, "inductor_passes": {"a": "b.c"}}',
            r"without inductor_passes",
        ),
        ("vLLM", "speculative_config", '{"method": "custom_class", "model": "x.Y"}', r"other than custom_class"),
        ("vLLM", "speculative_config", "[1]", r"expected a JSON object"),
        ("vLLM", "scheduler_cls", "x.Y", r"imports code by name"),
        ("vLLM", "kv_transfer_config", "{}", r"sends nothing to other machines"),
        ("SGLang", "forward_hooks", "[]", r"imports code by name"),
        ("SGLang", "file_storage_path", "/tmp", r"writes no files"),  # noqa: S108
        ("llama.cpp", "server_tools", "all", r"runs no tools"),
        ("vLLM", "trust_remote_code", True, r"code from a repository is never executed"),
        ("vLLM", "middleware", "os.system", r"imports code by name"),
        ("vLLM", "tokenizer", "--trust-remote-code", r"expected a text"),
        ("SGLang", "api-key", "x", r"every launch has a secret of its own"),
        ("SGLang", "disable_radix_cache", False, r"leave it out for false"),
        ("Transformers", "allowed_origins", "*", r"answer the gateway only"),
    ],
)
def test_what_is_wrong_is_said(engine: str, name: str, value: Any, says: str) -> None:
    with pytest.raises(UnknownOption, match=says) as caught:
        read_options(find_engine(engine), {name: value})
    assert caught.value.param == name.replace("-", "_")


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(UnknownOption, match="given twice"):
        read_options(LLAMA, {"n-batch": 1, "n_batch": 2})


def test_none_means_not_given() -> None:
    assert read_options(LLAMA, {"n_batch": None, "whatever": None}) == {}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_schemas_are_in_order(engine: Engine) -> None:
    assert all(name == option.name and option.help for name, option in engine.options.items())
    assert not set(engine.options) & set(engine.refused_options)
    assert {"trust_remote_code", "api_key", "host", "port", "allowed_origins"} <= set(engine.refused_options)
    assert len(engine.options) >= 15


def test_llama_cpps_options_are_attributes_of_the_real_parameters() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    for name in LLAMA.options:
        for path in _ATTRIBUTES.get(name, (name,)):
            target = params
            for part in path.split("."):
                assert hasattr(target, part), f"{name}: CommonParams has no {path}"
                target = getattr(target, part)


def test_llama_cpps_words_are_members_of_the_real_enumerations() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    checked = 0
    for name, option in LLAMA.options.items():
        members = getattr(type(getattr(params, name, None)), "__members__", None)
        if members is None:
            continue
        with pytest.raises(ValueError, match="one of ") as caught:
            option.read("no such word")
        for word in str(caught.value).removeprefix("one of ").split(", "):
            assert any(member.lower().endswith(f"_{word}") for member in members), f"{name} has no {word}"
            checked += 1
    assert checked > 20
