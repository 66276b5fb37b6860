"""The GGUF reader: what it reads, what it refuses and in which words, and that nothing can make it do anything else."""

import os
import struct
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import BadModelFile
from slipway.formats.gguf import Skipped, read_gguf
from tests import gguf_writer as writer

PILOT = Path(__file__).parents[2] / "src/slipway/pilot/pilot-q8_0.gguf"
WHOLE = writer.gguf()


def write(tmp_path: Path, data: bytes, name: str = "model.gguf") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        read_gguf(path)
    return caught.value.message


@pytest.mark.parametrize("version", [2, 3])
def test_reads_what_a_launch_needs(tmp_path: Path, version: int) -> None:
    header = read_gguf(write(tmp_path, writer.gguf(version=version)))
    assert (header.version, header.architecture, header.quantization) == (version, "qwen2", "q8_0")
    assert header.text("general.name") == "Tiny Model"
    assert header.own("context_length") == 512
    assert header.own("block_count") == 2
    assert header.own("embedding_length") == 64
    assert header.own("feed_forward_length") == 128
    assert (header.own("attention.head_count"), header.own("attention.head_count_kv")) == (4, 2)
    assert header.vocabulary == 260
    assert header.chat_template == writer.TEMPLATE
    assert header.split_count == 1
    assert header.metadata["tokenizer.ggml.tokens"] == Skipped(260)


def test_tensors_have_their_places_and_sizes(tmp_path: Path) -> None:
    header = read_gguf(write(tmp_path, WHOLE))
    by_name = {tensor.name: tensor for tensor in header.tensors}
    table = by_name["token_embd.weight"]
    assert (table.shape, table.type, table.bytes) == ((64, 260), "q8_0", 64 * 260 // 32 * 34)
    assert table.offset % 32 == 0
    assert len(header.tensors) == len(writer.shapes())
    last = max(header.tensors, key=lambda tensor: tensor.offset)
    assert last.offset + writer.padded(last.bytes) == len(WHOLE)
    assert header.weights_bytes == sum(tensor.bytes for tensor in header.tensors)


def test_quantization_is_what_most_bytes_are_when_the_file_does_not_say(tmp_path: Path) -> None:
    path = write(tmp_path, writer.gguf(writer.metadata(general__file_type=None)))
    assert read_gguf(path).quantization == "q8_0"


@pytest.mark.parametrize(
    ("number", "label"), [(15, "q4_k_m"), (2, "q4_0"), (10, "q2_k"), (18 | 1024, "q6_k"), (1, "f16")]
)
def test_quantization_labels(tmp_path: Path, number: int, label: str) -> None:
    path = write(tmp_path, writer.gguf(writer.metadata(general__file_type=(writer.U32, number))))
    assert read_gguf(path).quantization == label


def test_per_layer_numbers_give_their_largest(tmp_path: Path) -> None:
    values = writer.metadata()
    values["qwen2.attention.head_count"] = (writer.ARRAY, writer.U32, [4, 8])
    assert read_gguf(write(tmp_path, writer.gguf(values))).own("attention.head_count") == 8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"GG", "not a known format"),
        (b"tjgg\x03\0\0\0", "ggmlv3"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x80\x04\x95pickle", "Python pickle"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git-lfs pointer"),
        (writer.safetensors(writer.WEIGHTS), "safetensors"),
        (b'{"error": "gone"}', "JSON"),
    ],
)
def test_says_what_else_a_file_is(tmp_path: Path, data: bytes, words: str) -> None:
    message = refusal(write(tmp_path, data))
    assert "not a GGUF file" in message
    assert words in message


def test_a_truncated_file_says_how_many_bytes_are_missing(tmp_path: Path) -> None:
    header = read_gguf(write(tmp_path, WHOLE))
    last = max(header.tensors, key=lambda tensor: tensor.offset)
    needed = last.offset + last.bytes
    path = write(tmp_path, WHOLE[: needed - 1])
    message = refusal(path)
    assert message == (
        f"{path} is truncated: tensor {last.name} needs bytes up to {needed}, the file has {needed - 1}; fetch it again"
    )
    assert read_gguf(write(tmp_path, WHOLE[:needed])).tensors == header.tensors


def test_no_cut_anywhere_is_accepted_or_crashes(tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    header_bytes = min(tensor.offset for tensor in read_gguf(write(tmp_path, WHOLE)).tensors)
    path.write_bytes(WHOLE)
    for length in [*range(len(WHOLE) - 256, header_bytes, -997), *range(header_bytes, -1, -3)]:
        os.truncate(path, length)
        with pytest.raises(BadModelFile):
            read_gguf(path)


def with_version(version: int) -> bytes:
    return b"GGUF" + struct.pack("<I", version) + WHOLE[8:]


def one_key(key: str, encoded: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + writer.text(key) + encoded


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_version(1), "version 1"),
        (with_version(4), "version 4"),
        (with_version(3 << 24), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "number of tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "number of metadata keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 5), "truncated"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, (1 << 64) - 1), "truncated"),
        (one_key("k", struct.pack("<IQ", 8, 1 << 40)), "truncated"),
        (one_key("k", struct.pack("<IIQ", 9, 8, 1 << 62)), "length of k"),
        (one_key("k", struct.pack("<IIQ", 9, 8, 1 << 20)), "truncated"),
        (one_key("k", struct.pack("<IIQ", 9, 4, 1 << 20)), "truncated"),
        (one_key("k", struct.pack("<IIQ", 9, 9, 1) * 50), "array of arrays"),
        (one_key("k", struct.pack("<I", 77)), "unknown type 77"),
        (one_key("k", struct.pack("<IB", 0, 1)), "general.architecture"),
        (one_key("\0", struct.pack("<IQ", 8, 2) + b"\xff\xff"), "UTF-8"),
        (writer.gguf(writer.metadata(general__alignment=(writer.U32, 33))), "power of two"),
        (writer.gguf(writer.metadata(general__alignment=(writer.U32, 0))), "power of two"),
        (writer.gguf(tensors={"t": (0, (1, 1, 1, 1, 1))}), "number of dimensions of t"),
        (writer.gguf(tensors={"t": (8, (31, 32))}), "multiple of q8_0's 32"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refusal(write(tmp_path, data))


def tensor_info(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return writer.text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


@pytest.mark.parametrize(
    ("infos", "words"),
    [
        ([tensor_info("t", ((1 << 62), 8), 0, 0)], "impossible shape"),
        ([tensor_info("t", ((1 << 62), 1), 0, 0)], "truncated"),
        ([tensor_info("t", ((1 << 63) + 1,), 0, 0)], "a dimension of t"),
        ([tensor_info("t", (4,), 0, (1 << 64) - 32)], "truncated"),
        ([tensor_info("t", (4,), 0, 7)], "multiple of 32"),
        ([tensor_info("t", (4,), 999, 0)], "type 999"),
        ([tensor_info("t", (4,), 0, 0), tensor_info("t", (4,), 0, 32)], "twice"),
    ],
)
def test_bad_tensor_tables_are_refused(tmp_path: Path, infos: list[bytes], words: str) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), 1)
    head += writer.text("general.architecture") + writer.typed((writer.STRING, "qwen2"))
    assert words in refusal(write(tmp_path, head + b"".join(infos) + bytes(256)))


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    key = writer.text("k") + struct.pack("<IB", 0, 1)
    assert "twice" in refusal(write(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + key * 2))


def test_things_that_are_not_files(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "nowhere.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "not a regular file" in refusal(tmp_path / "pipe.gguf")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    path.chmod(0)
    assert "cannot be read" in refusal(path)


def test_a_large_vocabulary_is_read_quickly(tmp_path: Path) -> None:
    count = 152_064
    values = writer.metadata()
    values["tokenizer.ggml.tokens"] = (writer.ARRAY, writer.STRING, [f"token{n}" for n in range(count)])
    values["tokenizer.ggml.merges"] = (writer.ARRAY, writer.STRING, [f"to ken{n}" for n in range(count)])
    values["tokenizer.ggml.token_type"] = (writer.ARRAY, writer.I32, [1] * count)
    path = write(tmp_path, writer.gguf(values))
    started = time.process_time()
    header = read_gguf(path)
    assert time.process_time() - started < 0.3
    assert header.vocabulary == count
    assert header.chat_template == writer.TEMPLATE


def test_strings_longer_than_a_read_window(tmp_path: Path) -> None:
    long = "x" * 700_000
    values = writer.metadata(tokenizer__chat_template=(writer.STRING, long))
    values["tokenizer.ggml.merges"] = (writer.ARRAY, writer.STRING, ["a b", long, "c d", long, "e f"])
    header = read_gguf(write(tmp_path, writer.gguf(values)))
    assert header.chat_template == long
    assert header.metadata["tokenizer.ggml.merges"] == Skipped(5)


mutations = st.lists(st.tuples(st.integers(0, 8000), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=mutations)
def test_mutated_headers_are_read_or_refused_and_nothing_else(tmp_path: Path, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(WHOLE)
    for at, replacement in changes:
        data[at : at + len(replacement)] = replacement
    path = write(tmp_path, bytes(data), "mutated.gguf")
    try:
        header = read_gguf(path)
    except BadModelFile:
        return
    assert all(tensor.offset + tensor.bytes <= path.stat().st_size for tensor in header.tensors)
    assert isinstance(header.quantization, str)
    assert header.vocabulary is None or header.vocabulary >= 0


@settings(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_random_bytes_after_the_magic_are_refused(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, b"GGUF\x03\0\0\0" + data, "random.gguf")
    with pytest.raises(BadModelFile):
        read_gguf(path)


@pytest.mark.skipif(not PILOT.exists(), reason="the pilot's weights are not here")
def test_the_pilot() -> None:
    header = read_gguf(PILOT)
    assert (header.architecture, header.quantization) == ("qwen2", "q8_0")
    assert header.parameters <= 5_000_000
    assert header.chat_template
