"""Which engine runs what, and on what; every refusal with its reason."""

import pytest

from slipway.engines import ENGINES, find_engine, verdicts
from slipway.engines.architectures import llama_cpp_has
from slipway.engines.base import Engine
from slipway.errors import UnknownName
from slipway.types import DeviceKind, Format, Model
from tests.engines.models import architecture, model

CPU, CUDA, METAL, ROCM = DeviceKind.CPU, DeviceKind.CUDA, DeviceKind.METAL, DeviceKind.ROCM

MODELS: dict[str, Model] = {
    "none": model(),
    "gptq4": model(form=Format.GPTQ, quantization="Int4"),
    "gptq8": model(form=Format.GPTQ, quantization="Int8"),
    "awq": model(form=Format.AWQ, quantization="Int4"),
    "gguf": model(form=Format.GGUF, quantization="q4_k_m"),
    "ggml": model("llama-2-chat", "7", Format.GGML, "q4_0"),
    "bnb4": model("llama-2-chat", "7", quantization="4-bit"),
    "bnb8": model("llama-2-chat", "7", quantization="8-bit"),
    "vl": model("qwen2-vl-instruct", "7"),
    "vl-gptq8": model("qwen2-vl-instruct", "7", Format.GPTQ, "Int8"),
    "vl-awq": model("qwen2-vl-instruct", "7", Format.AWQ, "Int4"),
    "internvl": model("internvl-chat", "26"),
    "internvl8": model("internvl-chat", "26", quantization="Int8"),
}
# The kinds of device each engine runs each model on.
KINDS: dict[str, dict[str, set[DeviceKind]]] = {
    "vLLM": {
        "none": {CUDA, CPU},
        "gptq4": {CUDA, CPU},
        "gptq8": {CUDA},
        "awq": {CUDA, CPU},
        "gguf": {CUDA},
        "vl": {CUDA},
        "vl-gptq8": {CUDA},
        "vl-awq": {CUDA},
    },
    "SGLang": {"none": {CUDA}, "gptq4": {CUDA}, "gptq8": {CUDA}, "awq": {CUDA}, "vl": {CUDA}},
    "Transformers": {
        "none": {CUDA, METAL, CPU},
        "gptq4": {CUDA, CPU},
        "gptq8": {CUDA, CPU},
        "awq": {CUDA, CPU},
        "bnb4": {CUDA, CPU},
        "bnb8": {CUDA, CPU},
        "vl": {CUDA, METAL, CPU},
        "vl-gptq8": {CUDA, CPU},
        "vl-awq": {CUDA, CPU},
        "internvl": {CUDA, METAL, CPU},
        "internvl8": {CUDA, CPU},
    },
    "llama.cpp": {"gguf": {METAL, CPU}, "ggml": {METAL, CPU}},
}
REASONS = [
    ("vLLM", "gptq8", CPU, "Marlin kernels, which a CPU does not have"),
    ("vLLM", "gguf", CPU, "kernels in CUDA and Triton only, and neither runs on a CPU: use llama.cpp"),
    ("vLLM", "ggml", CUDA, "does not read ggmlv3"),
    ("vLLM", "vl", CPU, "need torchvision, which has no build"),
    ("vLLM", "internvl", CUDA, "code from the repository"),
    ("vLLM", "bnb4", CUDA, "use Transformers to load it in 4-bit"),
    ("vLLM", "none", ROCM, "not for AMD GPUs (ROCm)"),
    ("SGLang", "none", CPU, "none for a CPU"),
    ("SGLang", "gguf", CUDA, "use llama.cpp"),
    ("SGLang", "vl-awq", CUDA, "not proven with awq"),
    ("SGLang", "bnb8", CUDA, "use Transformers to load it in 8-bit"),
    ("SGLang", "none", METAL, "not for Apple GPUs (Metal)"),
    ("Transformers", "gguf", CPU, "use llama.cpp"),
    ("Transformers", "bnb4", METAL, "bitsandbytes 4-bit are for NVIDIA GPUs and CPUs"),
    ("Transformers", "awq", METAL, "kernels for awq"),
    ("Transformers", "none", ROCM, "not for AMD GPUs (ROCm)"),
    ("llama.cpp", "none", CPU, "reads GGUF files, not pytorch checkpoints"),
    ("llama.cpp", "gguf", CUDA, "on this machine it runs on the CPU"),
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_kinds(engine: Engine, name: str) -> None:
    found = {kind for kind in DeviceKind if engine.match(MODELS[name], kind) is None}
    assert found == KINDS[engine.name].get(name, set())


@pytest.mark.parametrize(("engine", "name", "kind", "part"), REASONS)
def test_reasons_say_what_is_wanting(engine: str, name: str, kind: DeviceKind, part: str) -> None:
    reason = find_engine(engine).match(MODELS[name], kind)
    assert reason is not None
    assert part in reason


def test_every_refusal_is_a_sentence_of_its_own() -> None:
    for engine in ENGINES:
        for made in MODELS.values():
            for kind in DeviceKind:
                reason = engine.match(made, kind)
                assert reason is None or (len(reason) > 30 and not reason.endswith(".")), (engine.name, reason)


def test_unknown_architectures_are_judged_by_name() -> None:
    strange = model(shape=architecture("qwen1.5-chat", "7"))
    for engine in ENGINES:
        form = Format.GGUF if engine.name == "llama.cpp" else Format.PYTORCH
        shape = architecture("qwen1.5-chat", "7", name="WhisperForConditionalGeneration")
        reason = engine.match(model(form=form, quantization="none", shape=shape), engine.kinds[0])
        assert reason is not None and "WhisperForConditionalGeneration" in reason
    assert find_engine("vllm").match(strange, CUDA) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Qwen2ForCausalLM", True),
        ("qwen2", True),
        ("LlamaForCausalLM", True),
        ("MistralForCausalLM", True),
        ("DeepseekV3ForCausalLM", True),
        ("GptOssForCausalLM", True),
        ("command-r", True),
        ("BertForMaskedLM", False),
        ("clip", False),
    ],
)
def test_llama_cpp_knows_classes_and_gguf_names(name: str, known: bool) -> None:
    assert llama_cpp_has(name) is known


def test_without_an_architecture_the_format_decides() -> None:
    assert find_engine("llama.cpp").match(model(form=Format.GGUF, quantization="q8_0", shape=None), CPU) is None
    assert find_engine("vllm").match(model(shape=None), CUDA) is None
    assert find_engine("sglang").match(model(form=Format.GGUF, quantization="q8_0", shape=None), CUDA) is not None


@pytest.mark.parametrize(
    ("written", "name"),
    [("vllm", "vLLM"), ("VLLM", "vLLM"), ("llama_cpp", "llama.cpp"), ("llama-cpp", "llama.cpp"), ("sgLang", "SGLang")],
)
def test_engines_are_found_without_regard_to_case_or_punctuation(written: str, name: str) -> None:
    assert find_engine(written).name == name


def test_an_unknown_engine_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownName, match=r"no engine named 'vlm'; nearest: vLLM; there are: vLLM, SGLang") as caught:
        find_engine("vlm")
    assert caught.value.http_status == 404
    assert caught.value.exit_code == 2


def test_verdicts_name_the_device_or_what_is_needed() -> None:
    by_engine = {verdict.engine: verdict for verdict in verdicts(MODELS["none"], (CPU,))}
    assert list(by_engine) == ["vLLM", "SGLang", "Transformers", "llama.cpp"]
    assert by_engine["vLLM"].here
    assert by_engine["vLLM"].reason == "runs on the CPU"
    assert by_engine["SGLang"].can
    assert not by_engine["SGLang"].here
    assert by_engine["SGLang"].reason.startswith("needs NVIDIA GPUs (CUDA), which this machine lacks; on the CPU: ")
    assert not by_engine["llama.cpp"].can
    assert "GGUF" in by_engine["llama.cpp"].reason


def test_verdicts_take_the_fastest_device_of_the_machine() -> None:
    by_engine = {verdict.engine: verdict for verdict in verdicts(MODELS["none"], (CUDA, CPU))}
    assert by_engine["vLLM"].reason == "runs on NVIDIA GPUs (CUDA)"
    gguf = {verdict.engine: verdict for verdict in verdicts(MODELS["gguf"], (CUDA, CPU))}
    assert gguf["llama.cpp"].reason == "runs on the CPU"
    assert gguf["llama.cpp"].kinds == (METAL, CPU)
