"""GGUF models that are not files of their own: llamafiles, files cut in pieces, shards."""

import struct
import threading
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import BadModelFile
from slipway.formats.assembly import assemble
from slipway.formats.llamafile import is_llamafile, model_inside
from slipway.formats.pieces import gguf_shards, pieces_of, read_pieces
from tests import gguf_writer as writer

MODEL = writer.gguf()
STUB = b"MZqFpD='\n#!/bin/sh\nexit 1\n" + bytes(5000)  # begins as the programs that run everywhere do


def llamafile(path: Path, entries: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    """A program with a zip archive behind it, as the llamafile project's own tool makes."""
    path.write_bytes(STUB)
    with zipfile.ZipFile(path, "a", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadModelFile) as caught:
        pieces_of(path)
    return caught.value.message


def joined(path: Path) -> bytes:
    pieces = pieces_of(path)
    assert pieces is not None
    target = path.with_name("made.gguf")
    assemble(target, pieces.pieces, lambda *_: None, threading.Event(), pieces.check)
    return target.read_bytes()


@pytest.mark.parametrize("name", ["tiny.llamafile", "tiny"])
def test_the_model_in_a_llamafile_is_found_and_taken_out(tmp_path: Path, name: str) -> None:
    path = llamafile(tmp_path / name, [(".args", b"-m\ntiny.gguf\n"), ("tiny.gguf", MODEL)])
    pieces = pieces_of(path)
    assert pieces is not None
    assert pieces.name == "tiny.gguf"
    assert read_pieces(pieces).architecture == "qwen2"
    assert joined(path) == MODEL


def test_a_model_whose_checksum_is_wrong_is_not_taken_out(tmp_path: Path) -> None:
    path = llamafile(tmp_path / "x.llamafile", [("x.gguf", MODEL)])
    data = bytearray(path.read_bytes())
    data[len(STUB) + len(MODEL)] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadModelFile, match="arrived damaged"):
        joined(path)
    assert not (tmp_path / "made.gguf").exists()


def test_a_projector_beside_the_model_is_passed_over(tmp_path: Path) -> None:
    path = llamafile(tmp_path / "seeing.llamafile", [("mmproj-seeing.gguf", MODEL), ("seeing.gguf", MODEL)])
    inside = model_inside(path).piece
    assert path.read_bytes()[inside.start : inside.start + inside.size] == MODEL


def test_other_files_are_no_llamafiles(tmp_path: Path) -> None:
    for name, data in (("a.gguf", MODEL), ("b", STUB), ("c.bin", b"PK\x03\x04"), ("d", b"")):
        (tmp_path / name).write_bytes(data)
        assert not is_llamafile(tmp_path / name)
        assert pieces_of(tmp_path / name) is None


def test_a_llamafile_without_a_usable_model_says_why(tmp_path: Path) -> None:
    path = tmp_path / "x.llamafile"
    assert "holds no .gguf file" in refusal(llamafile(path, [("readme", b"no")]))
    assert "several models (a.gguf, b.gguf)" in refusal(llamafile(path, [("a.gguf", MODEL), ("b.gguf", MODEL)]))
    assert "is compressed or encrypted" in refusal(llamafile(path, [("a.gguf", MODEL)], zipfile.ZIP_DEFLATED))
    assert "a.gguf in it is not a GGUF file" in refusal(llamafile(path, [("a.gguf", b"\x80\x02pickle")]))
    path.write_bytes(MODEL)
    assert "name it .gguf" in refusal(path)
    path.write_bytes(STUB)
    assert "no archive at its end" in refusal(path)


def test_a_directory_too_large_to_be_real_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.llamafile"
    path.write_bytes(STUB + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 9, 1 << 30, 0, 0))
    assert "directory takes 1073741824 bytes" in refusal(path)


def test_a_cut_llamafile_is_refused(tmp_path: Path) -> None:
    path = llamafile(tmp_path / "x.llamafile", [("a.gguf", MODEL)])
    whole = path.read_bytes()
    for size in (0, 3, 100, len(STUB) + 10, len(whole) // 2, len(whole) - 60, len(whole) - 1):
        path.write_bytes(whole[:size])
        refusal(path)


SMALL = STUB[:64]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), value=st.binary(min_size=1, max_size=8))
def test_no_damage_raises_anything_else(tmp_path: Path, at: int, value: bytes) -> None:
    """Damage within the last bytes, where the archive's directory is."""
    path = llamafile(tmp_path / "x.llamafile", [("a.gguf", b"GGUF" + bytes(100)), ("b.gguf", b"GGUF")])
    data = path.read_bytes()
    start = max(0, len(data) - at - len(value))
    path.write_bytes(data[:start] + value + data[start + len(value) :])
    try:
        model_inside(path)
    except BadModelFile as refused:
        assert str(path) in refused.message


@pytest.mark.parametrize("mark", [".", "-split-"])
def test_pieces_are_joined_in_order_from_any_of_them(tmp_path: Path, mark: str) -> None:
    cuts = (0, 1000, 40_000, len(MODEL))
    for letter, start, end in zip("abc", cuts, cuts[1:], strict=False):
        (tmp_path / f"tiny.gguf{mark}{letter}").write_bytes(MODEL[start:end])
    for letter in "abc":
        pieces = pieces_of(tmp_path / f"tiny.gguf{mark}{letter}")
        assert pieces is not None
        assert pieces.name == "tiny.gguf"
        assert read_pieces(pieces).weights_bytes == 98_320
    assert zlib.crc32(joined(tmp_path / f"tiny.gguf{mark}b")) == zlib.crc32(MODEL)


def test_a_missing_piece_is_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.a").write_bytes(MODEL)
    assert "tiny.gguf.b is not beside it" in refusal(tmp_path / "tiny.gguf.a")
    (tmp_path / "tiny.gguf.c").write_bytes(MODEL)
    assert "tiny.gguf.b is not beside it" in refusal(tmp_path / "tiny.gguf.c")


def test_the_last_piece_missing_is_a_truncated_model(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf.a").write_bytes(MODEL[:1000])
    (tmp_path / "tiny.gguf.b").write_bytes(MODEL[1000:60_000])
    pieces = pieces_of(tmp_path / "tiny.gguf.a")
    assert pieces is not None
    with pytest.raises(BadModelFile, match="is truncated"):
        read_pieces(pieces)


def test_shards_are_read_as_they_are_and_a_missing_one_is_named(tmp_path: Path) -> None:
    names = [f"tiny-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    for name in names:
        (tmp_path / name).write_bytes(MODEL)
    assert [path.name for path in gguf_shards(tmp_path / names[1])] == names
    (tmp_path / names[2]).unlink()
    with pytest.raises(BadModelFile, match="1 are not beside it: tiny-00003"):
        gguf_shards(tmp_path / names[0])
