"""Our quantizations in blocks of 256, read back by the gguf package; run where numpy and gguf are."""

import importlib
from typing import Any

import pytest

np: Any = pytest.importorskip("numpy")
gguf: Any = pytest.importorskip("gguf")
k_quants: Any = importlib.import_module("training.exports.k_quants")

# What was measured with normally distributed weights, rounded up: root mean square error, relative.
ALLOWED = {"q2_k": 0.27, "q3_k": 0.15, "q4_k": 0.072, "q5_k": 0.036, "q6_k": 0.018}


def read_back(values: Any, kind: str) -> Any:
    return gguf.quants.dequantize(k_quants.quantized(values, kind), gguf.GGMLQuantizationType[kind.upper()])


@pytest.mark.parametrize("kind", ALLOWED)
def test_weights_come_back_nearly_as_they_were(kind: str) -> None:
    values = np.random.default_rng(1).standard_normal((8, 512)).astype(np.float32) * 0.05
    error = np.sqrt(((read_back(values, kind) - values) ** 2).mean() / (values**2).mean())
    assert error < ALLOWED[kind]


@pytest.mark.parametrize("kind", ALLOWED)
def test_odd_rows_come_back_too(kind: str) -> None:
    values = np.zeros((4, 256), dtype=np.float32)
    values[1] = 1.0
    values[2, 17] = -3.0
    values[3] = np.abs(np.random.default_rng(2).standard_normal(256))
    back = read_back(values, kind)
    assert np.isfinite(back).all()
    assert (back[0] == 0).all()
    assert abs(back[1] - 1.0).max() < 0.3
    assert abs(back[2, 17] + 3.0) < 0.1
    assert back[3].min() > -0.4


@pytest.mark.parametrize("kind", ALLOWED)
def test_each_kind_has_the_size_of_its_blocks(kind: str) -> None:
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind.upper()]][1]
    assert k_quants.quantized(np.ones((3, 512), dtype=np.float32), kind).shape == (3, 2 * size)
