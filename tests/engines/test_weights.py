"""Weights: parameter counts against the models' cards, and file sizes against those published."""

import pytest

from slipway.engines.mixes import Generation, mix_bytes, mix_names
from slipway.engines.shapes import matrices, parameters
from slipway.engines.weights import weights_term
from slipway.errors import Refused
from slipway.types import Architecture, Format
from tests.engines.models import architecture, model

# From the cards of the checkpoints on Hugging Face.
PARAMETERS = {
    ("llama-2-chat", "7"): 6_738_415_616,
    ("llama-2-chat", "13"): 13_015_864_320,
    ("llama-2-chat", "70"): 68_976_648_192,
    ("qwen1.5-chat", "0_5"): 463_987_712,
    ("qwen1.5-chat", "1_8"): 1_836_828_672,
    ("qwen1.5-chat", "7"): 7_721_324_544,
    ("qwen1.5-chat", "72"): 72_287_920_128,
}

# GB (10^9 bytes) as the tables "Provided files" of TheBloke's repositories give them: GGUF from models of the Llama 2
# shapes (Luna-AI-Llama2 7B, CodeLlama 13B, Genz 70B), GGML from Llama-2-7B-Chat-GGML.
LLAMA_GGUF = {
    "7": {"Q2_K": 2.83, "Q3_K_S": 2.95, "Q3_K_M": 3.30, "Q3_K_L": 3.60, "Q4_0": 3.83},
    "13": {"Q2_K": 5.43, "Q3_K_S": 5.66, "Q3_K_M": 6.34, "Q3_K_L": 6.93, "Q4_0": 7.37},
    "70": {
        "Q2_K": 29.28,
        "Q3_K_S": 29.92,
        "Q3_K_M": 33.19,
        "Q3_K_L": 36.15,
        "Q4_0": 38.87,
        "Q4_K_S": 39.07,
        "Q4_K_M": 41.42,
        "Q5_0": 47.46,
        "Q5_K_S": 47.46,
        "Q5_K_M": 48.75,
        "Q6_K": 56.59,
        "Q8_0": 73.29,
    },
}
LLAMA_7B_GGML = {
    "q2_K": 2.87,
    "q3_K_L": 3.60,
    "q3_K_M": 3.28,
    "q3_K_S": 2.95,
    "q4_0": 3.79,
    "q4_1": 4.21,
    "q4_K_M": 4.08,
    "q4_K_S": 3.83,
    "q5_0": 4.63,
    "q5_1": 5.06,
    "q5_K_M": 4.78,
    "q5_K_S": 4.65,
    "q6_K": 5.53,
    "q8_0": 7.16,
}
# Bits per weight as llama.cpp's own documentation of its quantizer gave them in January 2024.
LLAMA_BITS = {
    "7": {"Q2_K": 3.35, "Q3_K_S": 3.50, "Q3_K_M": 3.91, "Q3_K_L": 4.27, "Q4_K_S": 4.58, "Q4_K_M": 4.84, "Q5_K_S": 5.52},
    "13": {"Q2_K": 3.34, "Q3_K_M": 3.89, "Q4_K_S": 4.56, "Q4_K_M": 4.83, "Q5_K_M": 5.67, "Q6_K": 6.56},
    "70": {"Q2_K": 3.40, "Q3_K_L": 4.19, "Q4_K_M": 4.80, "Q5_K_S": 5.50, "Q5_K_M": 5.65, "Q6_K": 6.56},
}


@pytest.mark.parametrize(("family", "size"), PARAMETERS)
def test_parameters_are_those_of_the_card(family: str, size: str) -> None:
    assert parameters(architecture(family, size)) == PARAMETERS[family, size]


def test_extra_parameters_are_counted_once() -> None:
    plain, vision = architecture("internvl-chat", "2"), architecture("internvl-chat", "2", extra_parameters=316_607_488)
    assert parameters(vision) - parameters(plain) == 316_607_488


@pytest.mark.parametrize(
    ("size", "quantization", "published"),
    [(size, name, size_gb) for size, table in LLAMA_GGUF.items() for name, size_gb in table.items()],
)
def test_gguf_weights_are_the_published_size(size: str, quantization: str, published: float) -> None:
    term = weights_term(model("llama-2-chat", size, Format.GGUF, quantization))
    assert term.bytes / 1e9 == pytest.approx(published, rel=0.003)


@pytest.mark.parametrize(("quantization", "published"), LLAMA_7B_GGML.items())
def test_ggml_weights_are_the_published_size(quantization: str, published: float) -> None:
    term = weights_term(model("llama-2-chat", "7", Format.GGML, quantization))
    assert term.bytes / 1e9 == pytest.approx(published, rel=0.003)


@pytest.mark.parametrize(
    ("size", "quantization", "bits"),
    [(size, name, bits) for size, table in LLAMA_BITS.items() for name, bits in table.items()],
)
def test_gguf_bits_are_those_documented(size: str, quantization: str, bits: float) -> None:
    shape = architecture("llama-2-chat", size)
    computed = 8 * mix_bytes(shape, quantization, Generation.OLD_GGUF) / parameters(shape)
    assert computed == pytest.approx(bits, rel=0.005)


def test_q2_k_lost_bits_in_january_2024() -> None:
    shape = architecture("llama-2-chat", "7")
    assert mix_bytes(shape, "q2_k", Generation.GGUF) < 0.91 * mix_bytes(shape, "q2_k", Generation.OLD_GGUF)


def test_rows_that_are_not_a_multiple_of_256_fall_back() -> None:
    """Qwen1.5-1.8B's ffn_down has rows of 5504 = 21.5 × 256: Q4_K becomes Q5_0 there, and Q6_K Q8_0."""
    shape = architecture("qwen1.5-chat", "1_8")
    whole = Architecture(shape.name, 24, 2048, 16, 16, 5632, 151936, qkv_bias=True)
    down = 2048 * 5504 * 24
    more_bits_layers = 12  # 3 first, 3 last, 6 of the 18 between
    plain = 144 / 256 * (24 - more_bits_layers) / 24 + 210 / 256 * more_bits_layers / 24
    fallen = 22 / 32 * (24 - more_bits_layers) / 24 + 34 / 32 * more_bits_layers / 24
    ratio = 5504 / 5632
    rest_of_whole = mix_bytes(whole, "q4_k_m", Generation.GGUF) - down / ratio * plain
    gate_up = 2 * 2048 * 24 * (5632 - 5504) * 144 / 256
    assert mix_bytes(shape, "q4_k_m", Generation.GGUF) == pytest.approx(
        rest_of_whole - gate_up + down * fallen, rel=1e-9
    )


def test_80_layers_give_attn_v_more_bits() -> None:
    deep = architecture("llama-2-chat", "70")
    shallow = Architecture(deep.name, 79, deep.hidden, deep.heads, deep.kv_heads, deep.intermediate, deep.vocab)
    per_layer = (mix_bytes(deep, "q3_k_s", Generation.GGUF) - mix_bytes(shallow, "q3_k_s", Generation.GGUF)) / 80
    values = deep.hidden * deep.kv_heads * deep.head_size
    more = values * (176 - 110) / 256  # Q5_K instead of Q3_K, in all 80 layers
    layer = sum(m.parameters for m in matrices(deep) if m.layer == 0) * 110 / 256 + 2 * deep.hidden * 4
    assert per_layer * 80 == pytest.approx(layer + 80 * more, rel=1e-6)


def test_tied_models_store_the_table_as_the_head() -> None:
    tied = architecture("qwen1.5-chat", "0_5")
    untied = architecture("qwen1.5-chat", "0_5", tied=False)
    table = 151936 * 1024
    more = mix_bytes(untied, "q4_0", Generation.GGUF) - mix_bytes(tied, "q4_0", Generation.GGUF)
    assert more == table * 18 // 32  # tied: one table in Q6_K; untied: a table in Q4_0 beside a head in Q6_K


@pytest.mark.parametrize(
    ("form", "quantization", "bits"),
    [
        (Format.PYTORCH, "none", 16),
        (Format.PYTORCH, "4-bit", 4.5),  # a float32 for 64 weights
        (Format.PYTORCH, "8-bit", 8),  # and a float32 a row
        (Format.GPTQ, "Int4", 4.15625),  # a float16 scale and a 4-bit zero for 128, and an int32 for each input
        (Format.GPTQ, "Int8", 8.1875),
        (Format.AWQ, "Int4", 4.15625),
    ],
)
def test_checkpoints_keep_table_and_head_in_16_bits(form: Format, quantization: str, bits: float) -> None:
    shape = architecture("qwen1.5-chat", "7")
    in_layers = sum(matrix.parameters for matrix in matrices(shape) if matrix.layer is not None)
    expected = in_layers * bits / 8 + 2 * (parameters(shape) - in_layers)
    term = weights_term(model("qwen1.5-chat", "7", form, quantization))
    assert term.bytes == pytest.approx(expected, rel=0.002)
    assert "7.72B parameters" in term.detail


def test_internvl_int8_is_8_bit_with_the_tower_in_16() -> None:
    shape = architecture("internvl-chat", "26", extra_parameters=5_652_925_824)
    full = weights_term(model("internvl-chat", "26", shape=shape))
    small = weights_term(model("internvl-chat", "26", quantization="Int8", shape=shape))
    assert full.bytes == 2 * parameters(shape)
    assert 0.6 < small.bytes / full.bytes < 0.7
    assert "5.65B of them outside the decoder" in small.detail


def test_measured_files_win_unless_they_are_quantized_while_loading() -> None:
    assert weights_term(model(weights_bytes=123_456_789)).bytes == 123_456_789
    assert "measured" in weights_term(model(weights_bytes=123_456_789)).detail
    loaded = weights_term(model("llama-2-chat", "7", quantization="4-bit", weights_bytes=13_476_000_000))
    assert loaded.bytes < 5_000_000_000


def test_what_cannot_be_computed_is_refused_with_advice() -> None:
    with pytest.raises(Refused, match=r"iq4_xs is not known before its file is here.*q4_k_m"):
        weights_term(model("llama-2-chat", "7", Format.GGUF, "iq4_xs"))


@pytest.mark.parametrize("generation", Generation)
def test_more_bits_are_more_bytes(generation: Generation) -> None:
    shape = architecture("qwen1.5-chat", "7")
    order = ["q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "f32"]
    sizes = [mix_bytes(shape, name, generation) for name in order]
    assert sizes == sorted(sizes)
    assert set(order) <= set(mix_names())
