"""Memory terms: each against numbers worked out apart from the code, or measured."""

import pytest

from slipway.engines import ENGINES, find_engine
from slipway.engines.base import Engine
from slipway.types import Demand, DeviceKind, Format, Memory
from tests.engines.models import architecture, model

MIB = 1024**2
LLAMA = find_engine("llama.cpp")
GGUF_7B = model(form=Format.GGUF, quantization="q4_k_m")


def terms(memory: Memory) -> dict[str, int]:
    return {term.name: term.bytes for term in memory.terms}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_terms_are_four_and_show_their_numbers(engine: Engine) -> None:
    made = GGUF_7B if engine.name == "llama.cpp" else model()
    memory = engine.estimate(made, Demand(4096, 4), engine.kinds[-1])
    assert [term.name for term in memory.terms] == ["weights", "kv_cache", "activations", "overhead"]
    assert all(term.bytes > 0 and any(sign.isdigit() for sign in term.detail) for term in memory.terms)
    assert memory.total_bytes == sum(term.bytes for term in memory.terms)


@pytest.mark.parametrize(
    ("family", "size", "per_token"),
    [
        ("qwen1.5-chat", "7", 524_288),  # 2 × 32 layers × 4096 × 2 bytes
        ("qwen1.5-chat", "32", 262_144),  # 8 of 40 heads: 2 × 64 × 1024 × 2
        ("llama-2-chat", "70", 327_680),  # 2 × 80 × 1024 × 2
        ("qwen1.5-chat", "110", 327_680),
        ("qwen2-vl-instruct", "2", 28_672),  # 2 × 28 × 256 × 2
    ],
)
def test_kv_cache_grows_with_context_and_parallel(family: str, size: str, per_token: int) -> None:
    engine = find_engine("transformers")
    for context, parallel in [(2048, 1), (2048, 3), (1000, 1)]:
        memory = engine.estimate(model(family, size), Demand(context, parallel), DeviceKind.CPU)
        assert terms(memory)["kv_cache"] == per_token * context * parallel


@pytest.mark.parametrize(("context", "padded"), [(256, 256), (257, 512), (1000, 1024), (4096, 4096)])
def test_llama_cpp_pads_each_requests_context(context: int, padded: int) -> None:
    memory = LLAMA.estimate(GGUF_7B, Demand(context, 3), DeviceKind.CPU)
    assert terms(memory)["kv_cache"] == 524_288 * padded * 3


# Compute and output buffers as the pinned llama.cpp logged them for GGUF files of these shapes, in MiB.
MEASURED_BUFFERS = [
    (1024, 2816, 151936, 16, 4096, 1, 30.52 + 0.58),
    (1024, 2816, 151936, 16, 1024, 4, 27.52 + 2.32),
    (1024, 2816, 151936, 16, 256, 16, 26.77 + 9.27),
    (2048, 5504, 32000, 4, 4096, 1, 56.27 + 0.12),
    (2048, 5504, 32000, 4, 32768, 1, 84.27 + 0.12),
    (2048, 5504, 32000, 4, 4096, 8, 56.27 + 0.98),
]


@pytest.mark.parametrize("row", MEASURED_BUFFERS)
def test_llama_cpp_buffers_are_those_measured(row: tuple[int, int, int, int, int, int, float]) -> None:
    hidden, width, vocab, kv_heads, context, parallel, measured = row
    changes = {"layers": 4, "hidden": hidden, "intermediate": width, "vocab": vocab, "kv_heads": kv_heads}
    shape = architecture("qwen1.5-chat", "0_5", **changes)
    made = model(form=Format.GGUF, quantization="f16", shape=shape)
    memory = LLAMA.estimate(made, Demand(context, parallel), DeviceKind.CPU)
    assert terms(memory)["activations"] / MIB == pytest.approx(measured, abs=0.1)


def test_llama_cpp_total_is_the_resident_peak_measured() -> None:
    """12 layers of Qwen1.5-0.5B's shape in q8_0, 152k tokens and merges, after a 600-token prompt: 663,420 KiB."""
    shape = architecture("qwen1.5-chat", "0_5", layers=12, tied=False)
    made = model(form=Format.GGUF, quantization="q8_0", shape=shape)
    memory = LLAMA.estimate(made, Demand(1024, 1), DeviceKind.CPU)
    assert memory.total_bytes == pytest.approx(663_420 * 1024, rel=0.02)


def test_torch_activations_are_the_widest_moment() -> None:
    memory = find_engine("vllm").estimate(model(), Demand(4096, 8), DeviceKind.CUDA)
    block = 2048 * (2 * 4096 + 3 * 11008) * 2
    logits = 2 * (16 * 8) * 151936 * 4  # 16 short requests for each of full length
    assert terms(memory)["activations"] == block + logits


def test_images_are_computed_whole() -> None:
    made = model("qwen2-vl-instruct", "7")
    for name in ("vLLM", "Transformers"):
        short = find_engine(name).estimate(made, Demand(8192, 1), DeviceKind.CUDA)
        long = find_engine(name).estimate(made, Demand(16384, 1), DeviceKind.CUDA)
        more = terms(long)["activations"] - terms(short)["activations"]
        assert more == 8192 * (2 * 3584 + 3 * 18944) * 2


def test_vllm_takes_two_processes_on_a_cpu() -> None:
    memory = find_engine("vLLM").estimate(model(), Demand(4096, 1), DeviceKind.CPU)
    assert terms(memory)["overhead"] == 1_960_000_000


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_without_an_architecture_a_typical_one_stands_in_that_is_not_smaller(engine: Engine) -> None:
    guessed = engine.estimate(model(shape=None), Demand(4096, 1), engine.kinds[0])
    known = engine.estimate(model(), Demand(4096, 1), engine.kinds[0])
    assert guessed.total_bytes >= 0.98 * known.total_bytes
