"""The kept checkpoint: Llama's names, sizes and types, and little enough of it."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

KEPT = Path(__file__).parent
WEIGHTS = KEPT / "model.safetensors"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((KEPT / "config.json").read_text(encoding="utf-8"))
    return read


def test_config_is_a_small_llama_2(config: dict[str, Any]) -> None:
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["rms_norm_eps"], config["rope_theta"], config["max_position_embeddings"]) == (1e-5, 10000.0, 4096)
    assert config["tie_word_embeddings"] is False and config["attention_bias"] is False
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)


def test_shape_fits_a_ggjt_file_and_blocks_of_256(config: dict[str, Any]) -> None:
    assert config["num_key_value_heads"] == config["num_attention_heads"]
    assert config["intermediate_size"] == math.ceil(8 * config["hidden_size"] // 3 / 256) * 256
    assert not [name for name in ("hidden_size", "intermediate_size", "vocab_size") if config[name] % 256]


@pytest.mark.skipif(
    not WEIGHTS.exists(), reason="the twin is not trained yet: training.twin.train, training.twin.release"
)
def test_weights_are_llamas_in_bf16(config: dict[str, Any]) -> None:
    with WEIGHTS.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    assert {tensor["dtype"] for tensor in header.values()} == {"BF16"}
    assert sum(math.prod(tensor["shape"]) for tensor in header.values()) <= 5_000_000
    assert header["lm_head.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    assert not [name for name in header if name.endswith(".bias")]
