"""Detection of local models: a GGUF file, a split one, a directory; and each thing that is not a model, in words."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.catalogue.detect import as_family, detect, size_in_billions
from slipway.errors import BadModelFile
from slipway.types import Ability, Format, Hub
from tests import gguf_writer as writer

TOOLS = writer.TEMPLATE + "{% if tools %}{{ tools }}{% endif %}"


def gguf_at(path: Path, data: bytes | None = None) -> Path:
    path.write_bytes(writer.gguf() if data is None else data)
    return path


def checkpoint(tmp_path: Path, config: Mapping[str, object] | None = None) -> Path:
    directory = writer.write_checkpoint(tmp_path / "Tiny Model")
    (directory / "config.json").write_text(json.dumps({**writer.CONFIG, **(config or {})}))
    return directory


def refusal(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        detect(path)
    return caught.value.message


# ---------------------------------------------------------------- GGUF


def test_a_gguf_file(tmp_path: Path) -> None:
    found = detect(gguf_at(tmp_path / "tiny.gguf"))
    assert (found.name, found.format, found.quantization) == ("Tiny-Model", Format.GGUF, "q8_0")
    assert (found.context_length, found.abilities, found.chat_template_present) == (512, (Ability.CHAT,), True)
    shape = found.architecture
    assert (shape.name, shape.layers, shape.hidden) == ("Qwen2ForCausalLM", 2, 64)
    assert (shape.heads, shape.kv_heads, shape.intermediate, shape.vocab) == (4, 2, 128, 260)
    assert shape.tied
    assert shape.qkv_bias
    assert 0 < found.weights_bytes < (tmp_path / "tiny.gguf").stat().st_size


def test_a_gguf_file_by_another_name(tmp_path: Path) -> None:
    assert detect(gguf_at(tmp_path / "blob-1234")).format is Format.GGUF


def test_tools_where_the_template_mentions_them(tmp_path: Path) -> None:
    values = writer.metadata(tokenizer__chat_template=(writer.STRING, TOOLS))
    assert detect(gguf_at(tmp_path / "t.gguf", writer.gguf(values))).abilities == (Ability.CHAT, Ability.TOOLS)


def test_without_a_template_it_only_generates(tmp_path: Path) -> None:
    values = writer.metadata(tokenizer__chat_template=None)
    found = detect(gguf_at(tmp_path / "t.gguf", writer.gguf(values)))
    assert (found.abilities, found.chat_template_present) == ((Ability.GENERATE,), False)


def test_a_directory_with_one_gguf(tmp_path: Path) -> None:
    gguf_at(tmp_path / "tiny.gguf")
    gguf_at(tmp_path / "mmproj-tiny.gguf")
    assert detect(tmp_path).path == tmp_path / "tiny.gguf"


def test_a_directory_with_several_ggufs_asks_which(tmp_path: Path) -> None:
    gguf_at(tmp_path / "a.gguf")
    gguf_at(tmp_path / "b.gguf")
    assert "a.gguf, b.gguf" in refusal(tmp_path)


def split(tmp_path: Path) -> None:
    tensors = list(writer.shapes().items())
    values = writer.metadata(general__name=None)
    values["split.count"] = (writer.U32, 2)
    gguf_at(tmp_path / "tiny-00001-of-00002.gguf", writer.gguf(values, dict(tensors[:5])))
    rest: dict[str, writer.Typed] = {"general.architecture": (writer.STRING, "qwen2")}
    gguf_at(tmp_path / "tiny-00002-of-00002.gguf", writer.gguf(rest, dict(tensors[5:])))


@pytest.mark.parametrize("asked", [".", "tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf"])
def test_a_split_gguf_is_one_model(tmp_path: Path, asked: str) -> None:
    split(tmp_path)
    found, whole = detect(tmp_path / asked), detect(gguf_at(tmp_path.parent / f"{tmp_path.name}.gguf"))
    assert found.path.name == "tiny-00001-of-00002.gguf"
    assert found.name == "tiny"
    assert (found.parameters, found.weights_bytes) == (whole.parameters, whole.weights_bytes)
    assert found.architecture == whole.architecture


def test_a_split_gguf_with_a_part_missing(tmp_path: Path) -> None:
    split(tmp_path)
    (tmp_path / "tiny-00002-of-00002.gguf").unlink()
    assert "1 are not beside it: tiny-00002-of-00002.gguf" in refusal(tmp_path / "tiny-00001-of-00002.gguf")


def test_a_part_that_was_renamed_is_refused(tmp_path: Path) -> None:
    split(tmp_path)
    renamed = (tmp_path / "tiny-00001-of-00002.gguf").rename(tmp_path / "tiny.gguf")
    assert "one of 2 parts" in refusal(renamed)


def test_a_gguf_that_is_no_language_model(tmp_path: Path) -> None:
    values: dict[str, writer.Typed] = {"general.architecture": (writer.STRING, "clip")}
    assert "'clip'" in refusal(gguf_at(tmp_path / "clip.gguf", writer.gguf(values)))


# ---------------------------------------------------------------- checkpoints


def test_a_checkpoint(tmp_path: Path) -> None:
    found = detect(checkpoint(tmp_path))
    assert (found.name, found.format, found.quantization) == ("Tiny-Model", Format.PYTORCH, "none")
    assert (found.context_length, found.abilities, found.weights_bytes) == (256, (Ability.CHAT,), 656)
    shape = found.architecture
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads) == (1, 8, 2, 1)
    assert shape.tied
    assert shape.qkv_bias
    assert found.parameters == 328


@pytest.mark.parametrize(
    ("quantized", "expected"),
    [
        ({"quant_method": "gptq", "bits": 4}, (Format.GPTQ, "Int4")),
        ({"quant_method": "gptq", "bits": 8}, (Format.GPTQ, "Int8")),
        ({"quant_method": "awq", "bits": 4}, (Format.AWQ, "Int4")),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, (Format.PYTORCH, "4-bit")),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, (Format.PYTORCH, "8-bit")),
    ],
)
def test_quantized_checkpoints(tmp_path: Path, quantized: object, expected: tuple[Format, str]) -> None:
    found = detect(checkpoint(tmp_path, {"quantization_config": quantized}))
    assert (found.format, found.quantization) == expected


@pytest.mark.parametrize(
    ("name", "quantized", "expected"),
    [
        ("quantize_config.json", {"bits": 8, "group_size": 128}, (Format.GPTQ, "Int8")),
        ("quant_config.json", {"w_bit": 4, "zero_point": True}, (Format.AWQ, "Int4")),
    ],
)
def test_quantization_in_a_file_of_its_own(
    tmp_path: Path, name: str, quantized: object, expected: tuple[Format, str]
) -> None:
    directory = checkpoint(tmp_path)
    (directory / name).write_text(json.dumps(quantized))
    found = detect(directory)
    assert (found.format, found.quantization) == expected


def test_a_quantization_without_a_word_for_it(tmp_path: Path) -> None:
    assert "fp8" in refusal(checkpoint(tmp_path, {"quantization_config": {"quant_method": "fp8"}}))


def test_a_vision_model_nests_its_text_config(tmp_path: Path) -> None:
    config = {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "vision_config": {"depth": 1},
        "text_config": {**writer.CONFIG, "hidden_size": 16, "max_position_embeddings": 99},
    }
    directory = checkpoint(tmp_path, config)
    tensors = {**writer.WEIGHTS, "visual.patch.weight": ("BF16", (10,), 20), "lm_head.weight": ("BF16", (4,), 8)}
    (directory / "model.safetensors").write_bytes(writer.safetensors(tensors))
    found = detect(directory)
    assert (found.architecture.hidden, found.context_length) == (16, 99)
    assert found.architecture.extra_parameters == 10
    assert not found.architecture.tied
    assert found.abilities == (Ability.CHAT, Ability.VISION)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("chat_template.jinja", TOOLS),
        ("chat_template.json", json.dumps({"chat_template": TOOLS})),
        ("tokenizer_config.json", json.dumps({"chat_template": [{"name": "tool_use", "template": TOOLS}]})),
    ],
)
def test_templates_in_all_their_places(tmp_path: Path, file: str, content: str) -> None:
    directory = checkpoint(tmp_path)
    (directory / file).write_text(content)
    assert detect(directory).abilities == (Ability.CHAT, Ability.TOOLS)


def test_safetensors_win_over_pickles_and_gguf_beside_them(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    (directory / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    gguf_at(directory / "tiny.gguf")
    assert detect(directory).format is Format.PYTORCH


# ---------------------------------------------------------------- what is not a model


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    message = refusal(directory)
    assert "pytorch_model.bin" in message
    assert "run code" in message
    assert "run code" in refusal(gguf_at(tmp_path / "model.bin", b"PK\x03\x04zip"))
    assert "runs code" in refusal(gguf_at(tmp_path / "model.gguf", b"\x80\x02pickle"))


def test_remote_code_is_refused_unless_the_architecture_is_built_in(tmp_path: Path) -> None:
    strange = {"architectures": ["StrangeForCausalLM"], "auto_map": {"AutoModel": "modeling.Strange"}}
    message = refusal(checkpoint(tmp_path, strange))
    assert "auto_map" in message
    assert "StrangeForCausalLM" in message
    assert detect(checkpoint(tmp_path, {"auto_map": {"AutoModel": "x.Y"}})).architecture.name == "Qwen2ForCausalLM"


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")
    assert "holds no model" in refusal(tmp_path)
    directory = checkpoint(tmp_path)
    (directory / "config.json").unlink()
    assert "no config.json" in refusal(directory)
    (directory / "config.json").write_text("{")
    assert "not JSON" in refusal(directory)
    (directory / "config.json").write_text("[]")
    assert "not a JSON object" in refusal(directory)
    (directory / "config.json").write_text("{}")
    assert "names no architecture" in refusal(directory)
    (directory / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    assert "embeddings and classification are not yet" in refusal(directory)
    (directory / "model.safetensors").unlink()
    assert "holds no model" in refusal(directory)


def test_a_file_that_is_no_model_says_what_it_is(tmp_path: Path) -> None:
    assert "a JSON file" in refusal(gguf_at(tmp_path / "config.json", b'{"a": 1}'))
    assert "is truncated" in refusal(gguf_at(tmp_path / "old.bin", b"tjgg\x03\0\0\0"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_directory(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path)
    directory.chmod(0)
    assert "cannot be read" in refusal(directory)
    directory.chmod(0o700)


# ---------------------------------------------------------------- as a family


def test_a_detected_model_is_a_family_of_one_spec(tmp_path: Path) -> None:
    found = detect(gguf_at(tmp_path / "tiny.gguf"))
    family = as_family(found, "mine")
    (spec,) = family.specs
    (source,) = spec.sources
    assert (family.name, family.context_length, family.abilities) == ("mine", 512, (Ability.CHAT,))
    assert not family.builtin
    assert (spec.format, spec.quantizations, spec.architecture) == (Format.GGUF, ("q8_0",), found.architecture)
    assert (source.hub, source.repository) == (Hub.LOCAL, str(tmp_path / "tiny.gguf"))
    assert as_family(found).name == "Tiny-Model"
    assert as_family(replace(found, parameters=7_000_000_000)).specs[0].size == "7"


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        (494_000_000, "0_5"),
        (1_800_000_000, "1_8"),
        (2_000_000_000, "2"),
        (7_240_000_000, "7"),
        (72_700_000_000, "73"),
        (4_900_000, "0_005"),
        (40_000, "0_00004"),
        (0, "0"),
    ],
)
def test_sizes_are_written_as_the_catalogue_does(parameters: int, size: str) -> None:
    assert size_in_billions(parameters) == size
