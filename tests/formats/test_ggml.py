"""The ggmlv3 reader: a Llama's file is read whole, older, broken or hostile ones are refused in words."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import BadModelFile
from slipway.formats.ggml import read_ggml, starts_as_ggml
from tests import ggml_writer as writer
from tests.ggml_writer import F16, F32, Q8_0, Shape

TINY = Shape(width=32, heads=2, kv_heads=2, layers=1, inner=32, words=("a", " b"), file_type=7)
WHOLE = writer.ggml(TINY, Q8_0)
OWN = (261, 32, 256, 2, 1, 16, 7)  # the seven numbers of TINY


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        read_ggml(path)
    return caught.value.message


def numbers(**changes: int) -> bytes:
    names = ("vocabulary", "width", "multiple", "heads", "layers", "rotated", "file_type")
    own = dict(zip(names, OWN, strict=True)) | changes
    return writer.ggml(TINY, Q8_0, numbers=tuple(own.values()))


def test_reads_numbers_vocabulary_and_tensors(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    header = read_ggml(path)
    assert starts_as_ggml(path)
    assert (header.numbers.vocabulary, header.numbers.width, header.numbers.layers) == (261, 32, 1)
    assert (header.feed_forward, header.kv_heads, header.quantization) == (32, 2, "q8_0")
    assert header.tokens[3:5] == ((b"\0", 0.0), (b"\1", 0.0))
    assert header.tokens[-2:] == ((b"a", 0.0), (b" b", -1.0))
    assert len(header.tensors) == 12
    assert all(tensor.offset % 32 == 0 for tensor in header.tensors)
    assert header.parameters == 2 * 261 * 32 + 32 + 4 * 32 * 32 + 3 * 32 * 32 + 2 * 32
    assert header.tensors[-1].offset + header.tensors[-1].bytes == len(WHOLE)


def test_shared_keys_are_read_off_their_matrix(tmp_path: Path) -> None:
    shape = Shape(width=64, heads=8, kv_heads=1, layers=2, inner=96, words=())
    assert read_ggml(write(tmp_path, writer.ggml(shape, F16))).kv_heads == 1


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"lmgg", "ggml version 1, older than ggmlv3"),
        (b"fmgg" + struct.pack("<I", 1), "ggmf version 1, older"),
        (b"tjgg" + struct.pack("<I", 1), "ggjt version 1, older"),
        (b"tjgg" + struct.pack("<I", 2), "ggjt version 2, older than ggmlv3.*cannot be converted"),
        (b"tjgg" + struct.pack("<I", 4), "says it is ggjt version 4"),
        (b"GGUF" + struct.pack("<I", 3), "looks like a GGUF file"),
        (b"PK\x03\x04", "looks like a zip archive.*pickle"),
        (b"\x80\x02}q\0", "a Python pickle"),
        (b"", "an empty file"),
    ],
)
def test_what_it_is_instead(tmp_path: Path, head: bytes, says: str) -> None:
    with pytest.raises(BadModelFile, match=says):
        read_ggml(write(tmp_path, head + bytes(100) if head else b""))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vocabulary": 0}, "n_vocab is 0"),
        ({"vocabulary": 0xFFFFFFFF}, "n_vocab is 4294967295"),
        ({"vocabulary": 1 << 19}, "truncated"),
        ({"vocabulary": 2}, "has 2 tokens"),
        ({"width": 1 << 21}, "n_embd is"),
        ({"layers": 1025}, "n_layer is 1025"),
        ({"layers": 2}, "lacks the tensor layers.1"),
        ({"heads": 3}, "cannot be shared among 3 heads"),
        ({"rotated": 8}, "n_rot is 8"),
        ({"file_type": 19}, "file type is 19"),
        ({"width": 64, "rotated": 32}, "its numbers ask for"),
    ],
)
def test_impossible_numbers(tmp_path: Path, changes: dict[str, int], says: str) -> None:
    assert says in refusal(write(tmp_path, numbers(**changes)))


def entries(**changes: tuple[int, tuple[int, ...]] | None) -> list[writer.Entry]:
    """TINY's tensors with some changed, by their names with __ for dots, or left out."""
    result: list[writer.Entry] = []
    for name, kind, shape in TINY.entries(F32):
        change = changes.get(name.removesuffix(".weight").replace(".", "__"), (kind, shape))
        if change is not None:
            result.append((name, *change))
    return result


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (entries(norm=None), "lacks the tensor norm.weight"),
        (entries(layers__0__attention__wk=None), "lacks the matrix layers.0.attention.wk.weight"),
        (entries(layers__0__attention__wk=(F32, (32, 8))), "8 rows, which 2 heads cannot share"),
        (entries(layers__0__ffn_norm=(F32, (31,))), r"has the shape \(31,\); its numbers ask for \(32,\)"),
        (entries(layers__0__feed_forward__w2=(F32, (16, 32))), "its numbers ask for"),
        ([*entries(), ("norm.weight", F32, (32,))], "a tensor twice"),
        ([*entries(), ("transformer.h.0.weight", F32, (32,))], "which no Llama of 1 layers has"),
        ([*entries(), ("layers.1.ffn_norm.weight", F32, (32,))], "which no Llama of 1 layers has"),
        (entries(norm=(F32, (0,))), "cannot store"),
    ],
)
def test_tensors_that_do_not_make_a_llama(tmp_path: Path, made: list[writer.Entry], says: str) -> None:
    with pytest.raises(BadModelFile, match=says):
        read_ggml(write(tmp_path, writer.ggml(TINY, entries=made)))


def raw_tensor(dimensions: int, name_length: int, kind: int, *shape: int) -> bytes:
    return struct.pack(f"<3I{len(shape)}I", dimensions, name_length, kind, *shape)


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (raw_tensor(3, 1, 0, 1, 1, 1) + b"x", "more than 2"),
        (raw_tensor(1, 1 << 31, 0, 1), "more than 256"),
        (raw_tensor(1, 1, 4, 32) + b"x", "has type 4, which ggmlv3 does not have"),
        (raw_tensor(1, 1, 30, 32) + b"x", "has type 30"),
        (raw_tensor(1, 1, 8, 31) + b"x", "which q8_0 cannot store"),
        (raw_tensor(2, 1, 0, 1 << 20, 1 << 20) + b"x", "truncated"),
        (raw_tensor(2, 1, 0, 0xFFFFFFFF, 2) + b"x", "more than"),
        (b"\1", "truncated"),
    ],
)
def test_hostile_tensor_headers(tmp_path: Path, tail: bytes, says: str) -> None:
    assert says in refusal(write(tmp_path, writer.header(TINY) + tail))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for size in [*range(0, 120, 3), *range(120, len(WHOLE), 997), len(WHOLE) - 1]:
        refusal(write(tmp_path, WHOLE[:size]))


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    assert "dimensions is 1701998445" in refusal(write(tmp_path, WHOLE + b"more"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(WHOLE) - 9), value=st.binary(min_size=1, max_size=8))
def test_no_damage_raises_anything_else(tmp_path: Path, at: int, value: bytes) -> None:
    path = write(tmp_path, WHOLE[:at] + value + WHOLE[at + len(value) :])
    try:
        read_ggml(path)
    except BadModelFile as refused:
        assert str(path) in refused.message
