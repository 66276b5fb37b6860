"""LoRA adapters and draft models are looked at before anything is planned with them."""

import json
from pathlib import Path

import pytest

import slipway
from slipway.control.companions import measured
from slipway.errors import BadModelFile, BadRequest
from slipway.types import Features, Format
from tests.engines.models import model

PILOT = Path(slipway.__file__).parent / "pilot"
GGUF = PILOT / "pilot-q8_0.gguf"
ONE_FILE, CHECKPOINT = model(form=Format.GGUF, quantization="q8_0"), model()


def adapter(directory: Path, weights: str = "adapter_model.safetensors") -> Path:
    """A PEFT directory with one tensor of 4 bytes."""
    head = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (directory / weights).write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (directory / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    return directory


def test_nothing_asked_is_nothing_measured() -> None:
    assert measured(Features(), CHECKPOINT) == Features()
    assert measured(Features(draft_model="ngram"), ONE_FILE).companions_bytes == 0


def test_a_draft_model_and_adapters_are_measured(tmp_path: Path) -> None:
    draft = measured(Features(draft_model=str(GGUF)), ONE_FILE)
    assert 3_000_000 < draft.companions_bytes < GGUF.stat().st_size
    assert measured(Features(draft_model=str(PILOT)), CHECKPOINT).companions_bytes > 6_000_000
    made = measured(Features(lora=(("a", str(adapter(tmp_path))),)), CHECKPOINT)
    assert made.companions_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("features", "gguf", "says"),
    [
        (Features(draft_model="/nowhere"), False, "--draft-model is /nowhere: expected a directory with a checkpoint"),
        (Features(draft_model="/nowhere.gguf"), True, "expected a GGUF file"),
        (Features(draft_model=str(PILOT)), True, "expected a GGUF file"),
        (
            Features(lora=(("a", "/nowhere"),)),
            False,
            "--lora-modules is /nowhere: expected a directory with adapter_config",
        ),
        (Features(lora=(("a", "relative"),)), True, "by its full path"),
        (Features(draft_tokens=3), True, "--draft-tokens needs a --draft-model"),
    ],
)
def test_what_is_not_there_is_refused_with_the_flag(features: Features, gguf: bool, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        measured(features, ONE_FILE if gguf else CHECKPOINT)


def test_an_adapter_of_pickles_and_a_model_as_an_adapter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"adapter_model\.safetensors"):
        measured(Features(lora=(("a", str(adapter(tmp_path, "adapter_model.bin"))),)), CHECKPOINT)
    with pytest.raises(BadModelFile, match="is a model, not a LoRA adapter"):
        measured(Features(lora=(("a", str(GGUF)),)), ONE_FILE)


def test_a_draft_model_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    config = {"architectures": ["MyModel"], "auto_map": {"AutoModelForCausalLM": "mine.MyModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadModelFile, match="code"):
        measured(Features(draft_model=str(tmp_path)), CHECKPOINT)
