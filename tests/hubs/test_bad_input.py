"""What hubs, disks and links can do to a fetch: the cause in a sentence, nothing poisoned, and the retry works."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.errors import BadModelFile, BadRequest, DiskFull, FetchFailed
from slipway.hubs.inventory import cached
from slipway.types import Hub, Location
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import BIG, GGUF, REPOSITORY, both_hubs, get, one_file, partials, refusal
from tests.hubs.test_resume import eventually

SHARD = "model-{}-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def sharded(weight_map: dict[str, str] | None = None) -> dict[str, bytes]:
    """A checkpoint of two shards and an index."""
    names = list(writer.WEIGHTS)
    places = {name: SHARD.format("00001" if name == names[0] else "00002") for name in names}
    files = writer.checkpoint_files()
    del files["model.safetensors"]
    for shard in set(places.values()):
        held = {name: writer.WEIGHTS[name] for name in names if places[name] == shard}
        files[shard] = writer.safetensors(held)
    return {**files, INDEX: json.dumps({"metadata": {}, "weight_map": weight_map or places}).encode()}


@both_hubs
def test_a_checkpoint_of_two_shards(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = sharded()
    path, _ = get(Location(kind, REPOSITORY), tmp_path)
    assert {each.name for each in path.glob("*.safetensors")} == {SHARD.format("00001"), SHARD.format("00002")}


@both_hubs
def test_a_truncated_shard_is_named_and_the_next_upload_works(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    whole = sharded()
    name = SHARD.format("00002")
    hub.files[REPOSITORY] = {**whole, name: whole[name][:-10]}
    with pytest.raises(BadModelFile, match=f"{name} is truncated"):
        get(Location(kind, REPOSITORY), tmp_path)
    assert [model.complete for model in cached(tmp_path)] == [False]
    hub.files[REPOSITORY] = whole
    get(Location(kind, REPOSITORY), tmp_path)
    assert [model.complete for model in cached(tmp_path)] == [True]


@both_hubs
@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd.safetensors", "C:\\x.safetensors", "sub/../../x"]
)
def test_an_index_that_names_a_file_outside(hub: HubStandIn, kind: Hub, name: str, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = sharded(dict.fromkeys(writer.WEIGHTS, name))
    with pytest.raises(BadModelFile, match="outside the model's directory"):
        get(Location(kind, REPOSITORY), tmp_path)
    hub.files[REPOSITORY] = sharded()
    get(Location(kind, REPOSITORY), tmp_path)


@both_hubs
def test_an_index_that_names_a_shard_the_hub_lacks(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    whole = sharded()
    hub.files[REPOSITORY] = {name: data for name, data in whole.items() if name != SHARD.format("00002")}
    with pytest.raises(BadModelFile, match=r"lacks 1 of its 2 weight files: model-00002"):
        get(Location(kind, REPOSITORY), tmp_path)
    hub.files[REPOSITORY] = whole
    get(Location(kind, REPOSITORY), tmp_path)


# ---------------------------------------------------------------- links


def test_a_repository_that_is_a_link_out_of_the_cache(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    outside, models = tmp_path / "outside", tmp_path / "models"
    outside.mkdir()
    link = models / "huggingface" / "Tiny--Model-GGUF"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(BadRequest, match="leads out of the cache by a link"):
        get(one_file(Hub.HUGGINGFACE), models)
    assert not list(outside.iterdir())
    link.unlink()
    get(one_file(Hub.HUGGINGFACE), models)


def test_a_models_directory_on_another_disk_by_a_link(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    (tmp_path / "disk").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert get(one_file(Hub.HUGGINGFACE), tmp_path / "models")[0].read_bytes() == GGUF
    hub.requests.clear()
    get(one_file(Hub.HUGGINGFACE), tmp_path / "models")
    assert hub.requests == []


def test_a_cached_file_that_became_a_link_is_fetched_again(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    path, _ = get(one_file(Hub.HUGGINGFACE), tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(bytes(len(GGUF)))
    path.unlink()
    path.symlink_to(victim)
    get(one_file(Hub.HUGGINGFACE), tmp_path)
    assert (path.is_symlink(), path.read_bytes()) == (False, GGUF)
    assert victim.read_bytes() == bytes(len(GGUF))


def test_a_partial_file_that_is_a_link_is_not_written_through(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    hub.flips["tiny.gguf"] = 1
    refusal(one_file(Hub.HUGGINGFACE), tmp_path)
    (partial,) = partials(tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    partial.unlink()
    partial.symlink_to(victim)
    assert get(one_file(Hub.HUGGINGFACE), tmp_path)[0].read_bytes() == BIG
    assert victim.read_bytes() == b"mine"


# ---------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@both_hubs
def test_a_disk_too_small_is_refused_before_anything_is_asked_for(hub: HubStandIn, kind: Hub, small_disk: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    with pytest.raises(DiskFull) as caught:
        get(one_file(kind), small_disk)
    assert f"needs {len(BIG) / 1024**2:.1f} MiB more on the disk of {small_disk}" in caught.value.message
    assert "4.0 MiB free" in caught.value.message
    assert (caught.value.http_status, caught.value.code) == (507, "disk_full")
    assert not hub.served


@both_hubs
def test_a_disk_that_fills_up_on_the_way(
    hub: HubStandIn, kind: Hub, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    monkeypatch.setattr("slipway.hubs.download._check_space", lambda *_: None)
    with pytest.raises(DiskFull, match=r"the disk of .* is full: make room"):
        get(one_file(kind), small_disk)
    assert [model.complete for model in cached(small_disk)] == [False]
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert get(one_file(kind), small_disk)[0].read_bytes() == BIG


# ---------------------------------------------------------------- no network, and two at once


@both_hubs
def test_a_cached_model_opens_no_socket(
    hub: HubStandIn, kind: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.files["Tiny/Model"] = writer.checkpoint_files()
    wanted = (one_file(kind), Location(kind, "Tiny/Model"))
    for location in wanted:
        get(location, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cached model must open no socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for location in wanted:
        get(location, tmp_path)
        get(location, tmp_path, offline=True)
    with pytest.raises(FetchFailed, match=r"unset SLIPWAY_OFFLINE and HF_HUB_OFFLINE"):
        get(one_file(kind, "other.gguf"), tmp_path, offline=True)


FETCH = """
import sys, threading
from pathlib import Path
from slipway.hubs.download import fetch
from slipway.types import Hub, Location
fetch(Location(Hub(sys.argv[1]), sys.argv[2], None, ("tiny.gguf",)), Path(sys.argv[3]), print, False, threading.Event())
"""


@both_hubs
def test_two_processes_make_one_download_and_both_see_it_progress(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY], hub.hold = {"tiny.gguf": BIG}, threading.Event()
    other = subprocess.Popen([sys.executable, "-c", FETCH, kind, REPOSITORY, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        assert hub.halfway.wait(20)
        seen: list[tuple[int, int | None]] = []
        thread = threading.Thread(target=lambda: seen.extend(get(one_file(kind), tmp_path)[1]))
        thread.start()
        eventually(lambda: any(path.stat().st_size >= len(BIG) // 4 for path in partials(tmp_path)))
        thread.join(0.5)  # it waits: the other process holds the place
        hub.hold.set()
        thread.join(20)
        assert other.wait(20) == 0
    finally:
        other.kill()
        other.wait()
    assert hub.served["tiny.gguf"] == len(BIG)
    assert any(0 < fetched < len(BIG) and total == len(BIG) for fetched, total in seen), seen
