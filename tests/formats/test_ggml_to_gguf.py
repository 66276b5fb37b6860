"""The conversion of ggmlv3 to GGUF: the tensors' bytes untouched, the header llama.cpp's; whole or not at all."""

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.errors import BadModelFile, Cancelled, DiskFull
from slipway.formats.ggml import read_ggml
from slipway.formats.ggml_to_gguf import Unstored, convert, gguf_name, is_made_from
from slipway.formats.gguf import GgufHeader, read_gguf
from tests import ggml_writer as writer
from tests.ggml_writer import Shape

UNSTORED = Unstored("old", 4096, "{{ bos_token }}")
K_SHAPE = Shape(width=256, heads=4, kv_heads=2, layers=1, inner=256)
# The page's quantizations: the file type's number, and the types of that quantizer's mix.
QUANTIZATIONS: Mapping[str, tuple[int, int]] = {
    "q2_k": (10, 10),
    "q3_k_l": (13, 11),
    "q3_k_m": (12, 11),
    "q3_k_s": (11, 11),
    "q4_0": (2, 2),
    "q4_1": (3, 3),
    "q4_k_m": (15, 12),
    "q4_k_s": (14, 12),
    "q5_0": (8, 6),
    "q5_1": (9, 7),
    "q5_k_m": (17, 13),
    "q5_k_s": (16, 13),
    "q6_k": (18, 14),
    "q8_0": (7, 8),
}


def source(tmp_path: Path, shape: Shape = K_SHAPE, kind: int = 8) -> Path:
    path = tmp_path / "old.bin"
    path.write_bytes(writer.ggml(shape, kind))
    return path


def converted(path: Path, unstored: Unstored = UNSTORED) -> GgufHeader:
    return convert(path, path.with_suffix(".gguf"), unstored, lambda *_: None, threading.Event())


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_all_quantizations_keep_every_byte(tmp_path: Path, quantization: str) -> None:
    file_type, kind = QUANTIZATIONS[quantization]
    shape = Shape(width=256, heads=4, kv_heads=2, layers=1, inner=256, file_type=file_type)
    path = source(tmp_path, shape, kind)
    new, old = converted(path), read_ggml(path)
    assert new.quantization == quantization
    before, after = path.read_bytes(), path.with_suffix(".gguf").read_bytes()
    assert [tensor.name for tensor in new.tensors] == [gguf_name(tensor.name) for tensor in old.tensors]
    for one, other in zip(old.tensors, new.tensors, strict=True):
        assert (one.type, one.shape) == (other.type, other.shape)
        assert before[one.offset : one.offset + one.bytes] == after[other.offset : other.offset + other.bytes]


def test_names_are_llama_cpps() -> None:
    assert gguf_name("tok_embeddings.weight") == "token_embd.weight"
    assert gguf_name("norm.weight") == "output_norm.weight"
    assert gguf_name("layers.11.attention.wq.weight") == "blk.11.attn_q.weight"
    assert gguf_name("layers.0.feed_forward.w2.weight") == "blk.0.ffn_down.weight"
    assert gguf_name("layers.0.attention_norm.weight") == "blk.0.attn_norm.weight"


def test_the_header_says_what_the_file_did_and_what_the_family_does(tmp_path: Path) -> None:
    header = converted(source(tmp_path))
    said = {key: value for key, value in header.metadata.items() if key.startswith("llama.")}
    assert said == {
        "llama.context_length": 4096,
        "llama.embedding_length": 256,
        "llama.block_count": 1,
        "llama.feed_forward_length": 256,
        "llama.rope.dimension_count": 64,
        "llama.rope.freq_base": 10000.0,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": pytest.approx(1e-5),
        "llama.vocab_size": 512,
    }
    assert (header.architecture, header.text("tokenizer.ggml.model")) == ("llama", "llama")
    assert header.chat_template == "{{ bos_token }}"
    assert [header.number(f"tokenizer.ggml.{name}_token_id") for name in ("unknown", "bos", "eos")] == [0, 1, 2]


def test_the_vocabulary_is_sentencepieces(tmp_path: Path) -> None:
    path = source(tmp_path)
    header, data = converted(path), path.with_suffix(".gguf").read_bytes()
    kinds, scores = header.metadata["tokenizer.ggml.token_type"], header.metadata["tokenizer.ggml.scores"]
    assert isinstance(kinds, tuple)
    assert isinstance(scores, tuple)
    assert kinds[:5] == (2, 3, 3, 6, 6)
    assert kinds[258] == 6
    # a word that is there twice cannot be reached the second time, and gets a name of its own
    assert kinds.count(5) == len(writer.WORDS) - len(set(writer.WORDS)) > 0
    assert set(kinds[259:]) == {1, 5}
    assert scores[259:262] == (0.0, -1.0, -2.0)
    for text in (b"<unk>", b"<s>", b"</s>", b"<0x00>", b"<0xFF>", "▁the".encode(), "▁".encode()):
        assert len(text).to_bytes(8, "little") + text in data


def test_a_conversion_is_made_again_when_the_file_or_the_family_changes(tmp_path: Path) -> None:
    path = source(tmp_path)
    target = path.with_suffix(".gguf")
    assert not is_made_from(target, path, UNSTORED)
    converted(path)
    assert is_made_from(target, path, UNSTORED)
    assert not is_made_from(target, path, Unstored("old", 2048))
    os.utime(path, ns=(1, 1))
    assert not is_made_from(target, path, UNSTORED)
    target.write_bytes(target.read_bytes()[:-1])
    assert not is_made_from(target, path, UNSTORED)


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    path, seen = source(tmp_path), []
    target = path.with_suffix(".gguf")
    convert(path, target, UNSTORED, lambda *counts: seen.append(counts), threading.Event())
    assert seen[-1] == (target.stat().st_size, target.stat().st_size)


def test_a_cancelled_conversion_leaves_nothing(tmp_path: Path) -> None:
    path, cancel = source(tmp_path), threading.Event()
    with pytest.raises(Cancelled):
        convert(path, path.with_suffix(".gguf"), UNSTORED, lambda *_: cancel.set(), cancel)
    assert [each.name for each in tmp_path.iterdir()] == ["old.bin"]


def test_a_full_disk_is_told_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = source(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match=r"old\.gguf needs .* which has 1 KiB free"):
        converted(path)
    assert not path.with_suffix(".gguf").exists()


def test_what_was_there_stays_when_a_conversion_fails(tmp_path: Path) -> None:
    path = source(tmp_path)
    converted(path)
    kept = path.with_suffix(".gguf").read_bytes()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadModelFile, match="truncated"):
        converted(path)
    assert path.with_suffix(".gguf").read_bytes() == kept
    assert read_gguf(path.with_suffix(".gguf")).quantization == "f32"
