"""Fetching from both hubs through the real client against a stand-in: what is fetched, and what is refused."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from slipway.errors import BadModelFile, BadRequest
from slipway.hubs import transfer
from slipway.hubs.inventory import cached
from slipway.types import Hub, Location
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import GGUF, REPOSITORY, both_hubs, get, one_file, partials, refusal

# ---------------------------------------------------------------- whole


@both_hubs
def test_one_file_is_fetched_and_marked_whole(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF, "other.gguf": b"never asked for"}
    path, seen = get(one_file(kind), tmp_path)
    assert path == tmp_path / kind / "Tiny--Model-GGUF" / "main" / "tiny.gguf"
    assert path.read_bytes() == GGUF
    assert (seen[0], seen[-1]) == ((0, len(GGUF)), (len(GGUF), len(GGUF)))
    assert hub.served.keys() == {"tiny.gguf"}
    assert not partials(tmp_path)
    (model,) = cached(tmp_path)
    assert (model.hub, model.repository, model.complete, model.path) == (kind, REPOSITORY, True, path)


@both_hubs
def test_a_checkpoint_is_what_an_engine_needs_and_nothing_else(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {**writer.checkpoint_files(), "consolidated.safetensors": b"twice the same"}
    path, _ = get(Location(kind, REPOSITORY), tmp_path)
    names = {each.name for each in path.iterdir() if each.is_file()}
    wanted = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert names == wanted
    assert hub.served.keys() == wanted


@both_hubs
def test_a_whole_model_makes_no_request_at_all(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    get(one_file(kind), tmp_path)
    hub.requests.clear()
    path, _ = get(one_file(kind), tmp_path)
    assert path.exists()
    get(one_file(kind), tmp_path, offline=True)
    assert hub.requests == []


@both_hubs
def test_offline_without_the_model_asks_nobody(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    assert "offline mode is on" in refusal(one_file(kind), tmp_path, offline=True)
    assert hub.requests == []


@both_hubs
def test_parts_are_joined_into_one_file(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    half = len(GGUF) // 2
    hub.files[REPOSITORY] = {"tiny.gguf.a": GGUF[:half], "tiny.gguf.b": GGUF[half:]}
    path = tmp_path / kind / "Tiny--Model-GGUF" / "main" / "tiny.gguf"
    hub.cuts.update({"tiny.gguf.a": 1, "tiny.gguf.b": 1})
    assert get(one_file(kind, "tiny.gguf.a", "tiny.gguf.b", path=path), tmp_path)[0] == path
    assert path.read_bytes() == GGUF
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == ["tiny.gguf"]
    assert get(one_file(kind, "tiny.gguf.a", "tiny.gguf.b"), tmp_path)[0] == path


def test_parts_that_llama_cpp_reads_itself_stay_apart(hub: HubStandIn, tmp_path: Path) -> None:
    names = ("tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf")
    hub.files[REPOSITORY] = dict.fromkeys(names, GGUF)
    path = tmp_path / "huggingface" / "Tiny--Model-GGUF" / "main" / names[0]
    assert get(one_file(Hub.HUGGINGFACE, *names, path=path), tmp_path)[0] == path
    assert {each.name for each in path.parent.iterdir() if each.is_file()} == set(names)


def test_two_quantizations_share_a_directory(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"a.gguf": GGUF, "b.gguf": GGUF}
    first, _ = get(one_file(Hub.HUGGINGFACE, "a.gguf"), tmp_path)
    second, _ = get(one_file(Hub.HUGGINGFACE, "b.gguf"), tmp_path)
    assert first.parent == second.parent
    assert [model.files for model in cached(tmp_path)] == [("a.gguf",), ("b.gguf",)]


def test_a_mirror_that_lists_names_only(hub: HubStandIn, tmp_path: Path) -> None:
    hub.names_only = True
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.flips["tiny.gguf"] = 1
    assert "checksum" in refusal(one_file(Hub.HUGGINGFACE), tmp_path)
    assert get(one_file(Hub.HUGGINGFACE), tmp_path)[0].read_bytes() == GGUF


def test_two_launches_make_one_download(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.hold = threading.Event()
    threads = [threading.Thread(target=get, args=(one_file(Hub.HUGGINGFACE), tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert hub.halfway.wait(10)
    hub.hold.set()
    for thread in threads:
        thread.join(10)
    assert hub.served["tiny.gguf"] == len(GGUF)


# ---------------------------------------------------------------- refused


@both_hubs
def test_a_gated_repository_says_how_to_get_access(
    hub: HubStandIn, kind: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.token = "hf_right"
    variable = {Hub.HUGGINGFACE: "HF_TOKEN", Hub.MODELSCOPE: "MODELSCOPE_API_TOKEN"}[kind]
    message = refusal(one_file(kind), tmp_path)
    assert f"then set {variable}" in message
    assert "ask for access at https://" in message
    monkeypatch.setenv(variable, "hf_wrong_secret")
    message = refusal(one_file(kind), tmp_path)
    assert "has no access" in message
    assert "hf_wrong_secret" not in message
    monkeypatch.setenv(variable, "hf_right")
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF


@both_hubs
def test_what_is_not_there(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    assert REPOSITORY in refusal(one_file(kind), tmp_path)
    hub.files[REPOSITORY] = {"tiny-q8_0.gguf": GGUF}
    assert "no file tiny-q8.gguf; nearest: tiny-q8_0.gguf" in refusal(one_file(kind, "tiny-q8.gguf"), tmp_path)


@both_hubs
def test_a_redirect_is_followed_and_takes_no_token_along(
    hub: HubStandIn, kind: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.token, hub.redirect = "hf_right", True
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "hf_right")
    hub.cuts["tiny.gguf"] = 1
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF
    assert not hub.leaked


@both_hubs
def test_no_network(kind: Hub, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(variable, "http://user:hf_secret@127.0.0.1:9")
    message = refusal(one_file(kind), tmp_path)
    assert "at http://127.0.0.1:9" in message
    assert "hf_secret" not in message
    assert "--model-path" in message


@both_hubs
@pytest.mark.parametrize(
    "answer", ["<html>", "[]", "{}", '{"Data": 1, "siblings": 1, "id": 1}', '{"Data": {"Files": [1]}}']
)
def test_a_mirror_that_is_no_hub(kind: Hub, answer: str, hub: HubStandIn, tmp_path: Path) -> None:
    hub.listing = answer.encode()
    assert f"{hub.address} did not answer like" in refusal(one_file(kind), tmp_path)


@both_hubs
@pytest.mark.parametrize("address", ["nonsense://x", "http://", "http://[::", "http://x:port"])
def test_an_address_that_is_none(
    kind: Hub, address: str, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", address)
    with pytest.raises(BadRequest, match="_ENDPOINT is not the address of a hub"):
        get(one_file(kind), tmp_path)


@both_hubs
def test_pickles_only_and_no_config(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"config.json": b"{}", "pytorch_model.bin": b"PK\x03\x04"}
    with pytest.raises(BadModelFile, match="run code"):
        get(Location(kind, REPOSITORY), tmp_path)
    hub.files[REPOSITORY] = {"model.safetensors": writer.safetensors(writer.WEIGHTS)}
    with pytest.raises(BadModelFile, match=r"no config\.json"):
        get(Location(kind, REPOSITORY), tmp_path)
    assert not hub.served


@both_hubs
def test_what_the_hub_holds_is_checked_before_an_engine_sees_it(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF[:5000], "old.bin": b"\x80\x02pickle", "ok.bin": b"tjgg\x03\0\0\0"}
    with pytest.raises(BadModelFile, match="truncated"):
        get(one_file(kind), tmp_path)
    with pytest.raises(BadModelFile, match="runs code"):
        get(one_file(kind, "old.bin"), tmp_path)
    assert not any(model.complete for model in cached(tmp_path))
    assert get(one_file(kind, "ok.bin"), tmp_path)[0].exists()


@both_hubs
@pytest.mark.parametrize("repository", ["../../etc", "a/../b", "", "a/b/c", "/abs/olute", "a b/c"])
def test_a_repository_that_leads_out_of_the_cache_is_refused(kind: Hub, repository: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        get(Location(kind, repository), tmp_path)
    with pytest.raises(BadRequest):
        get(Location(kind, REPOSITORY, "../../x"), tmp_path)
    with pytest.raises(BadRequest):
        get(Location(kind, REPOSITORY, None, ("../../x.gguf",)), tmp_path)


def test_names_in_a_listing_that_lead_out_are_never_chosen(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {**writer.checkpoint_files(), "../evil.safetensors": b"x", "sub/tokenizer.json": b"{}"}
    path, _ = get(Location(Hub.HUGGINGFACE, REPOSITORY), tmp_path)
    assert not (path.parent / "evil.safetensors").exists()
    assert not (path / "sub").exists()


def test_a_link_out_of_the_cache_is_not_followed(hub: HubStandIn, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "models" / "huggingface" / "Tiny--Model-GGUF" / "main"
    root.mkdir(parents=True)
    (root / "sub").symlink_to(outside)
    hub.files[REPOSITORY] = {"sub/tiny.gguf": GGUF}
    assert "leads out of the cache" in refusal(one_file(Hub.HUGGINGFACE, "sub/tiny.gguf"), tmp_path / "models")
    assert not list(outside.iterdir())


def test_too_little_room_is_said_before_anything_is_fetched(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    usage = shutil.disk_usage(tmp_path)._replace(free=1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = refusal(one_file(Hub.HUGGINGFACE), tmp_path)
    assert f"needs {len(GGUF) / 1024:.0f} KiB more" in message
    assert "1.0 MiB free" in message
    assert not hub.served


def test_a_disk_that_fills_up_is_told_in_words(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(transfer.Transfer, "write", full)
    assert "is full" in refusal(one_file(Hub.HUGGINGFACE), tmp_path)


def test_a_path_here_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(GGUF)
    assert get(Location(Hub.LOCAL, str(path), path=path), tmp_path)[0] == path
    path.write_bytes(GGUF[:5000])
    with pytest.raises(BadModelFile, match="truncated"):
        get(Location(Hub.LOCAL, str(path), path=path), tmp_path)
    path.unlink()
    with pytest.raises(BadModelFile, match="does not exist any more"):
        get(Location(Hub.LOCAL, str(path), path=path), tmp_path)


def test_the_stand_in_is_a_hub_to_the_real_client_too(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = writer.checkpoint_files()
    folder = Path(snapshot_download(REPOSITORY, local_dir=tmp_path, endpoint=hub.address))
    assert {name: (folder / name).read_bytes() for name in hub.files[REPOSITORY]} == hub.files[REPOSITORY]


def test_importing_the_hubs_is_light() -> None:
    code = "import sys, slipway.hubs.download, slipway.hubs.cache; print('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
