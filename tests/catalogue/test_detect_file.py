"""Models in one file: ggmlv3, llamafiles and GGUF in pieces are detected from their headers, and planned."""

import zipfile
from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.detect import detect
from slipway.control.planner import PlanContext, plan
from slipway.errors import BadModelFile
from slipway.parameters import LaunchRequest
from slipway.settings import load_settings
from slipway.types import Ability, Format, Machine
from tests import ggml_writer, gguf_writer

GIB = 1024**3
SHAPE = ggml_writer.Shape(width=64, heads=8, kv_heads=1, layers=1, inner=64, file_type=2)


def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "old one.bin"
    path.write_bytes(ggml_writer.ggml(SHAPE, 2))
    return path


def llamafile(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.llamafile"
    path.write_bytes(b"MZ" + bytes(64))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("inside.gguf", gguf_writer.gguf())
    return path


def pieces(tmp_path: Path) -> Path:
    data = gguf_writer.gguf()
    (tmp_path / "tiny.gguf-split-a").write_bytes(data[:9000])
    (tmp_path / "tiny.gguf-split-b").write_bytes(data[9000:])
    return tmp_path / "tiny.gguf-split-a"


def test_a_ggmlv3_file_is_a_llama(tmp_path: Path) -> None:
    found = detect(old_file(tmp_path))
    assert (found.format, found.quantization, found.name) == (Format.GGML, "q4_0", "old-one")
    shape = found.architecture
    assert (shape.name, shape.layers, shape.hidden, shape.heads, shape.kv_heads) == ("LlamaForCausalLM", 1, 64, 8, 1)
    assert (shape.intermediate, shape.vocab, shape.tied) == (64, 512, False)
    assert found.abilities == (Ability.GENERATE,)


def test_a_llamafile_and_pieces_are_the_gguf_they_hold(tmp_path: Path) -> None:
    for path in (llamafile(tmp_path), pieces(tmp_path)):
        found = detect(path)
        assert (found.path, found.format, found.quantization) == (path, Format.GGUF, "q8_0")
        assert found.architecture.name == "Qwen2ForCausalLM"
        assert found.chat_template_present


def test_a_missing_piece_is_named(tmp_path: Path) -> None:
    path = pieces(tmp_path)
    (tmp_path / "tiny.gguf-split-b").unlink()
    with pytest.raises(BadModelFile, match="split-b is not beside it"):
        detect(path)


@pytest.mark.parametrize(
    ("make", "served"), [(old_file, "old one.gguf"), (llamafile, "tiny.gguf"), (pieces, "tiny.gguf")]
)
def test_the_engine_is_given_a_file_in_the_cache(tmp_path: Path, make: object, served: str) -> None:
    assert callable(make)
    settings = load_settings({"SLIPWAY_HOME": str(tmp_path / "home")})
    context = PlanContext(load_catalogue(), Machine(2, 24 * GIB, 20 * GIB), settings)
    planned = plan(LaunchRequest("", model_path=str(make(tmp_path))), context)
    model = Path(planned.launch.argv[planned.launch.argv.index("--model") + 1])
    assert model.name == served
    assert model.is_relative_to(settings.models / "local")
    assert not planned.warnings


def test_the_family_gives_a_ggmlv3_file_its_context_length(tmp_path: Path) -> None:
    context = PlanContext(load_catalogue(), Machine(2, 24 * GIB, 20 * GIB), load_settings({"SLIPWAY_HOME": "/nowhere"}))
    path = str(old_file(tmp_path))
    assert plan(LaunchRequest("", model_path=path), context).model.family.context_length == 2048
    named = plan(LaunchRequest("llama-2-chat", model_path=path), context)
    assert named.model.family.context_length == 4096
