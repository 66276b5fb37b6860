"""What lies in the cache, and its removal: only what is asked, only inside the models' directory."""

import json
from pathlib import Path

import pytest

from slipway.errors import Conflict
from slipway.hubs.cache import locked, slot_of
from slipway.hubs.inventory import CachedModel, cached, remove
from slipway.types import Hub, Location
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import GGUF, REPOSITORY, get, one_file


@pytest.fixture
def models(hub: HubStandIn, tmp_path: Path) -> Path:
    """A cache with two quantizations of one repository, and a checkpoint."""
    directory = tmp_path / "models"
    hub.files[REPOSITORY] = {"a.gguf": GGUF, "b.gguf": GGUF}
    hub.files["Tiny/Model"] = writer.checkpoint_files()
    get(one_file(Hub.HUGGINGFACE, "a.gguf"), directory)
    get(one_file(Hub.HUGGINGFACE, "b.gguf"), directory)
    get(Location(Hub.MODELSCOPE, "Tiny/Model"), directory)
    return directory


def anything(model: CachedModel) -> bool:
    return True


def test_lists_every_fetch_with_its_bytes(models: Path) -> None:
    a, b, checkpoint = cached(models)
    assert [each.files for each in (a, b)] == [("a.gguf",), ("b.gguf",)]
    assert (a.hub, a.repository, a.revision, a.bytes, a.complete) == (
        Hub.HUGGINGFACE,
        REPOSITORY,
        "main",
        len(GGUF),
        True,
    )
    assert a.path == models / "huggingface" / "Tiny--Model-GGUF" / "main" / "a.gguf"
    assert (checkpoint.hub, checkpoint.repository, checkpoint.complete) == (Hub.MODELSCOPE, "Tiny/Model", True)
    assert checkpoint.path == models / "modelscope" / "Tiny--Model" / "main"
    assert checkpoint.bytes == sum(path.stat().st_size for path in checkpoint.path.iterdir() if path.is_file())


def test_nothing_there_is_nothing(tmp_path: Path) -> None:
    assert cached(tmp_path / "nowhere") == ()
    assert remove(tmp_path / "nowhere", anything) == 0


def test_removes_one_quantization_and_leaves_the_other(models: Path) -> None:
    freed = remove(models, lambda model: model.files == ("a.gguf",))
    assert freed >= len(GGUF)
    assert [model.files[0] for model in cached(models)] == ["b.gguf", "config.json"]
    assert (models / "huggingface" / "Tiny--Model-GGUF" / "main" / "b.gguf").read_bytes() == GGUF


def test_removes_all_and_leaves_no_directory(models: Path) -> None:
    remove(models, anything)
    assert cached(models) == ()
    assert list(models.iterdir()) == []


def test_a_model_whose_file_shrank_is_not_whole(models: Path) -> None:
    path = models / "huggingface" / "Tiny--Model-GGUF" / "main" / "a.gguf"
    path.write_bytes(GGUF[:-1])
    assert [model.complete for model in cached(models)] == [False, True, True]


def test_what_others_put_there_is_left_alone(models: Path) -> None:
    mine = models / "huggingface" / "Tiny--Model-GGUF" / "main" / "notes.txt"
    mine.write_text("mine")
    remove(models, anything)
    assert mine.read_text() == "mine"


def test_links_are_removed_and_never_followed(models: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(GGUF)
    linked = models / "huggingface" / "Tiny--Model-GGUF" / "main" / "a.gguf"
    linked.unlink()
    linked.symlink_to(outside)
    remove(models, anything)
    assert outside.read_bytes() == GGUF
    assert not linked.is_symlink()


def test_a_directory_that_is_a_link_is_passed_over(models: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (models / "huggingface").rename(elsewhere)
    (models / "huggingface").symlink_to(elsewhere)
    assert [model.hub for model in cached(models)] == [Hub.MODELSCOPE]
    remove(models, anything)
    assert (elsewhere / "Tiny--Model-GGUF" / "main" / "a.gguf").exists()


@pytest.mark.parametrize("name", ["../../../../outside.gguf", "/etc/passwd"])
def test_a_manifest_that_names_a_file_outside_removes_nothing_there(models: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside.gguf"
    outside.write_bytes(GGUF)
    manifest = models / "huggingface" / "Tiny--Model-GGUF" / "main" / ".slipway" / "a.gguf.json"
    record = json.loads(manifest.read_text())
    record["files"] = [{"name": name, "size": 1}]
    manifest.write_text(json.dumps(record))
    remove(models, anything)
    assert outside.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hub": "elsewhere"}', '{"hub": "huggingface", "repository": 1}'])
def test_a_manifest_that_cannot_be_read_is_no_model(models: Path, text: str) -> None:
    for manifest in models.rglob("*.json"):
        if manifest.parent.name == ".slipway":
            manifest.write_text(text)
    assert cached(models) == ()


def test_a_model_being_fetched_is_not_removed(models: Path) -> None:
    slot = slot_of(one_file(Hub.HUGGINGFACE, "a.gguf"), models)
    with locked(slot, lambda: None), pytest.raises(Conflict, match="is being fetched now"):
        remove(models, anything)
    assert cached(models)[0].complete
