"""The safetensors reader: whole checkpoints are read, broken or hostile ones are refused in words."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import BadModelFile
from slipway.formats.safetensors import INDEX, plain_name, read_checkpoint, read_safetensors
from tests import gguf_writer as writer

WHOLE = writer.safetensors(writer.WEIGHTS)


def write(tmp_path: Path, data: bytes, name: str = "model.safetensors") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        read_safetensors(path)
    return caught.value.message


def test_reads_types_shapes_and_sizes(tmp_path: Path) -> None:
    tensors = read_safetensors(write(tmp_path, WHOLE))
    table = tensors["model.embed_tokens.weight"]
    assert (table.dtype, table.shape, table.bytes, table.elements) == ("BF16", (32, 8), 512, 256)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.parameters == 256 + 64 + 8
    assert checkpoint.weights_bytes == 512 + 128 + 16


@pytest.mark.parametrize("length", [0, 7, 8, 9, 40, len(WHOLE) - 657, len(WHOLE) - 1])
def test_every_cut_is_refused(tmp_path: Path, length: int) -> None:
    assert refusal(write(tmp_path, WHOLE[:length]))


def test_a_cut_says_how_many_bytes_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE[:-1])
    message = refusal(path)
    assert message.startswith(f"{path} is truncated: tensor model.layers.0.self_attn.q_proj.bias needs bytes up to ")
    assert message.endswith(f"{len(WHOLE)}, the file has {len(WHOLE) - 1}; fetch it again")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04 pytorch", "zip archive"),
        (writer.gguf(), "a GGUF file"),
        (b"<html>not found</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git-lfs pointer"),
        (struct.pack("<Q", 1 << 62) + b"{}", "claims"),
        (struct.pack("<Q", 500) + b"{}", "truncated"),
        (struct.pack("<Q", 3) + b"{]}", "not JSON"),
        (struct.pack("<Q", 90_000) + b'{"a":' * 18_000, "not JSON"),
        (struct.pack("<Q", 15) + b'{"a":1,"a":2  }', "twice"),
        (WHOLE + b"tail", "belong to no tensor"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refusal(write(tmp_path, data))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}, "unknown type"),
        ({"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}, "unknown type"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}, "no proper shape"),
        ({"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}, "no proper shape"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "no proper shape"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0]}, "no proper shape"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}, "cannot lie"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "cannot lie"),
        ({"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]}, "cannot lie"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}, "0 was expected"),
        ("text", "unknown type"),
        (None, "unknown type"),
    ],
)
def test_bad_entries_are_refused(tmp_path: Path, entry: object, words: str) -> None:
    assert words in refusal(write(tmp_path, writer.safetensors_with({"t": entry}, bytes(4))))


def test_overlapping_tensors_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    assert "expected" in refusal(write(tmp_path, writer.safetensors_with({"a": entry, "b": entry}, bytes(4))))


def sharded(tmp_path: Path, weight_map: object | None = None) -> Path:
    for number, (name, spec) in enumerate(writer.WEIGHTS.items(), 1):
        write(tmp_path, writer.safetensors({name: spec}), f"model-0000{number}-of-00003.safetensors")
    if weight_map is None:
        weight_map = {name: f"model-0000{n}-of-00003.safetensors" for n, name in enumerate(writer.WEIGHTS, 1)}
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return tmp_path


def test_a_sharded_checkpoint_is_one(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(sharded(tmp_path))
    assert len(checkpoint.files) == 3
    assert set(checkpoint.tensors) == set(writer.WEIGHTS)
    assert checkpoint.weights_bytes == 656


def checkpoint_refusal(directory: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        read_checkpoint(directory)
    return caught.value.message


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert "lacks 1 of its 3 weight files: model-00002-of-00003.safetensors" in checkpoint_refusal(tmp_path)
    (tmp_path / INDEX).unlink()
    assert "lacks 1 of its 3 weight files: model-00002-of-00003.safetensors" in checkpoint_refusal(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/x.safetensors", "a/../../b.safetensors", "", "C:\\x", 7]
)
def test_an_index_that_leads_out_is_refused(tmp_path: Path, name: object) -> None:
    assert "outside the model's directory" in checkpoint_refusal(sharded(tmp_path, {"t": name}))


def test_an_index_may_not_name_a_pickle(tmp_path: Path) -> None:
    assert "not a safetensors file" in checkpoint_refusal(sharded(tmp_path, {"t": "pytorch_model.bin"}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000])
def test_an_unusable_index_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, WHOLE)
    (tmp_path / INDEX).write_text(text)
    assert "no weight_map" in checkpoint_refusal(tmp_path)


def test_an_index_that_places_a_tensor_wrongly_is_refused(tmp_path: Path) -> None:
    sharded(tmp_path, {"absent": "model-00001-of-00003.safetensors"})
    assert "which does not hold it" in checkpoint_refusal(tmp_path)


def test_the_same_tensor_in_two_loose_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, WHOLE, "a.safetensors")
    write(tmp_path, WHOLE, "b.safetensors")
    assert "in two files" in checkpoint_refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.safetensors", "sub/a.b", "..a", "a..b"])
def test_plain_names(name: str) -> None:
    assert plain_name(name)


@settings(max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), replacement=st.binary(min_size=1, max_size=9))
def test_mutated_headers_are_read_or_refused_and_nothing_else(tmp_path: Path, at: int, replacement: bytes) -> None:
    data = WHOLE[:at] + replacement + WHOLE[at + len(replacement) :]
    path = write(tmp_path, data)
    try:
        tensors = read_safetensors(path)
    except BadModelFile:
        return
    assert sum(tensor.bytes for tensor in tensors.values()) <= len(data)
