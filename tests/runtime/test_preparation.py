"""Between fetch and start: files are checked, and the file the engine is given is made, once."""

import json
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.engines.launching import model_path
from slipway.errors import BadModelFile, Cancelled
from slipway.formats.gguf import read_gguf
from slipway.hubs.inventory import cached, remove
from slipway.runtime.preparation import Making, prepare, served_path
from slipway.types import Ability, Format, Hub, Location, Model
from tests import ggml_writer, gguf_writer
from tests.plans import tiny_model

SHAPE = ggml_writer.Shape(width=32, heads=2, kv_heads=2, layers=1, inner=32, file_type=7)


def making(progress: Callable[[int, int | None], None] = lambda *_: None) -> Making:
    return Making(progress, threading.Event())


def model(form: Format, location: Location) -> Model:
    tiny = tiny_model()
    return replace(tiny, spec=replace(tiny.spec, format=form), location=location)


def local(path: Path, form: Format, models: Path) -> Model:
    return model(form, Location(Hub.LOCAL, str(path), path=path, served=served_path(path, form, models)))


def old_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ggml_writer.ggml(SHAPE, ggml_writer.Q8_0))
    return path


def test_a_fetched_ggmlv3_file_is_converted_beside_itself_once(tmp_path: Path) -> None:
    path = old_file(tmp_path / "huggingface" / "a--b" / "main" / "old.bin")
    wanted, seen = model(Format.GGML, Location(Hub.HUGGINGFACE, "a/b", files=("old.bin",), path=path)), []
    prepare(wanted, path, making(lambda *counts: seen.append(counts)))
    target = Path(model_path(wanted))
    assert target == path.with_suffix(".gguf")
    header = read_gguf(target)
    assert header.own("context_length") == wanted.family.context_length
    assert "[INST]" in (header.chat_template or "")
    assert seen
    made_at = target.stat().st_mtime_ns
    prepare(wanted, path, making())
    assert target.stat().st_mtime_ns == made_at


def test_a_model_that_does_not_chat_gets_no_template(tmp_path: Path) -> None:
    wanted = local(old_file(tmp_path / "old.bin"), Format.GGML, tmp_path / "models")
    wanted = replace(wanted, family=replace(wanted.family, abilities=(Ability.GENERATE,)))
    prepare(wanted, tmp_path / "old.bin", making())
    assert read_gguf(Path(model_path(wanted))).chat_template is None


def test_what_is_made_of_a_local_file_lies_in_the_cache_and_can_be_removed(tmp_path: Path) -> None:
    path, models = old_file(tmp_path / "mine" / "old.bin"), tmp_path / "models"
    wanted = local(path, Format.GGML, models)
    prepare(wanted, path, making())
    assert [each.name for each in path.parent.iterdir()] == ["old.bin"]
    (made,) = cached(models)
    assert (made.hub, made.repository, made.complete) == (Hub.LOCAL, str(path), True)
    assert str(made.path) == model_path(wanted)
    assert remove(models, lambda each: each.repository == str(path)) > 0
    assert not made.path.exists()
    assert path.exists()


def test_two_launches_of_one_model_make_its_file_once(tmp_path: Path) -> None:
    path, models = old_file(tmp_path / "old.bin"), tmp_path / "models"
    wanted, writes = local(path, Format.GGML, models), []

    def launch(_: int) -> None:
        prepare(wanted, path, making(lambda done, total: writes.append(done) if done == total else None))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(launch, range(4)))
    assert len(set(writes)) == len(writes) == 1


def test_a_launch_that_waits_for_another_can_be_cancelled(tmp_path: Path) -> None:
    path = old_file(tmp_path / "old.bin")
    wanted = local(path, Format.GGML, tmp_path / "models")
    stopped = making()
    stopped.cancel.set()
    with pytest.raises(Cancelled):
        prepare(wanted, path, stopped)
    assert not Path(model_path(wanted)).exists()


def test_a_llamafile_is_taken_apart_into_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "tiny.llamafile"
    path.write_bytes(b"MZ" + bytes(100))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tiny.gguf", gguf_writer.gguf())
    wanted = local(path, Format.GGUF, tmp_path / "models")
    prepare(wanted, path, making())
    assert Path(model_path(wanted)).read_bytes() == gguf_writer.gguf()
    assert Path(model_path(wanted)).name == "tiny.gguf"


def test_pieces_are_joined_and_kept(tmp_path: Path) -> None:
    data = gguf_writer.gguf()
    (tmp_path / "tiny.gguf.a").write_bytes(data[:5000])
    (tmp_path / "tiny.gguf.b").write_bytes(data[5000:])
    wanted = local(tmp_path / "tiny.gguf.a", Format.GGUF, tmp_path / "models")
    prepare(wanted, tmp_path / "tiny.gguf.a", making())
    assert Path(model_path(wanted)).read_bytes() == data
    assert (tmp_path / "tiny.gguf.b").exists()


def test_a_plain_gguf_is_only_checked(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_writer.gguf())
    wanted = local(path, Format.GGUF, tmp_path / "models")
    assert model_path(wanted) == str(path)
    prepare(wanted, path, making())
    assert not (tmp_path / "models").exists()
    path.write_bytes(gguf_writer.gguf()[:-1])
    with pytest.raises(BadModelFile, match="truncated"):
        prepare(wanted, path, making())


def test_one_shard_of_several_is_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf_writer.gguf(gguf_writer.metadata(split__count=(gguf_writer.U32, 2))))
    with pytest.raises(BadModelFile, match="one of 2 parts"):
        prepare(local(path, Format.GGUF, tmp_path / "models"), path, making())


def checkpoint(tmp_path: Path) -> tuple[Model, Path]:
    directory = gguf_writer.write_checkpoint(tmp_path / "checkpoint")
    return local(directory, Format.PYTORCH, tmp_path / "models"), directory


def test_a_checkpoint_is_checked_before_an_engine_sees_it(tmp_path: Path) -> None:
    wanted, directory = checkpoint(tmp_path)
    prepare(wanted, directory, making())
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BadModelFile, match="truncated"):
        prepare(wanted, directory, making())
    weights.write_bytes(b"\x80\x02}q\0.")
    with pytest.raises(BadModelFile, match="a Python pickle"):
        prepare(wanted, directory, making())


def test_code_that_comes_with_a_checkpoint_is_refused(tmp_path: Path) -> None:
    wanted, directory = checkpoint(tmp_path)
    strange = {"architectures": ["StrangeForCausalLM"], "auto_map": {"AutoModelForCausalLM": "modeling.Strange"}}
    (directory / "config.json").write_text(json.dumps(strange))
    with pytest.raises(BadModelFile, match="code from a model is never executed"):
        prepare(wanted, directory, making())
    (directory / "config.json").write_text("{")
    with pytest.raises(BadModelFile, match=r"config\.json"):
        prepare(wanted, directory, making())


def test_an_index_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    wanted, directory = checkpoint(tmp_path)
    index = {"weight_map": {"model.embed_tokens.weight": "../outside.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadModelFile, match="outside the model's directory"):
        prepare(wanted, directory, making())


def test_a_fetched_llamafile_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "tiny.llamafile"
    path.write_bytes(b"MZ" + bytes(100))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tiny.gguf", gguf_writer.gguf())
    before = path.read_bytes()
    wanted = model(Format.GGUF, Location(Hub.HUGGINGFACE, "a/b", files=("tiny.llamafile",), path=path))
    prepare(wanted, path, making())
    assert model_path(wanted) == str(tmp_path / "tiny.gguf")
    assert path.read_bytes() == before
