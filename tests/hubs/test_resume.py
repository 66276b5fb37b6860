"""Fetches that are cut, damaged, cancelled: what is kept, what is thrown away, and that the next try works."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from slipway.errors import Cancelled
from slipway.hubs.inventory import cached
from slipway.types import Hub, Location
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import BIG, GGUF, REPOSITORY, both_hubs, get, one_file, partials, refusal


@both_hubs
def test_a_cut_connection_is_resumed_where_it_was_cut(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.cuts["tiny.gguf"] = 4
    path, seen = get(one_file(kind), tmp_path)
    assert path.read_bytes() == GGUF
    assert hub.served["tiny.gguf"] == len(GGUF)
    assert seen[-1] == (len(GGUF), len(GGUF))


@both_hubs
def test_a_hub_that_cannot_resume_starts_again(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.cuts["tiny.gguf"], hub.ranges = 1, False
    path, seen = get(one_file(kind), tmp_path)
    assert path.read_bytes() == GGUF
    assert seen[-1] == (len(GGUF), len(GGUF))


@both_hubs
def test_a_busy_hub_is_asked_again_but_not_forever(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.refusals["tiny.gguf"] = 2
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF
    hub.refusals["tiny.gguf"] = 99
    assert "answered 503" in refusal(one_file(kind), tmp_path / "again")


@both_hubs
def test_a_damaged_file_is_removed_and_the_retry_works(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.flips["tiny.gguf"] = 1
    message = refusal(one_file(kind), tmp_path)
    assert "tiny.gguf of Tiny/Model-GGUF arrived damaged" in message
    assert not any(path.stat().st_size for path in partials(tmp_path))
    assert not list(tmp_path.rglob("tiny.gguf"))
    assert [model.complete for model in cached(tmp_path)] == [False]
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF
    assert [model.complete for model in cached(tmp_path)] == [True]


@both_hubs
def test_small_files_are_verified_too(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = writer.checkpoint_files()
    hub.flips["tokenizer_config.json"] = 1
    assert "tokenizer_config.json" in refusal(Location(kind, REPOSITORY), tmp_path)
    get(Location(kind, REPOSITORY), tmp_path)


def cancelled_halfway(hub: HubStandIn, kind: Hub, models: Path) -> None:
    hub.hold, cancel = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            get(one_file(kind), models, cancel=cancel)
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert hub.halfway.wait(10)
    eventually(lambda: any(path.stat().st_size or cancel.is_set() for path in partials(models)))
    cancel.set()
    hub.hold.set()
    thread.join(10)
    assert [type(error) for error in errors] == [Cancelled]
    hub.hold = None


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@both_hubs
def test_a_cancelled_fetch_is_kept_and_continued(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    cancelled_halfway(hub, kind, tmp_path)
    (partial,) = partials(tmp_path)
    held = partial.stat().st_size
    assert 0 < held < len(BIG)
    (model,) = cached(tmp_path)
    assert (model.complete, model.bytes) == (False, held)
    hub.served = Counter()
    path, seen = get(one_file(kind), tmp_path)
    assert path.read_bytes() == BIG
    assert hub.served["tiny.gguf"] == len(BIG) - held
    assert seen[-1] == (len(BIG), len(BIG))


@both_hubs
def test_a_partial_file_that_went_bad_is_fetched_anew(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    cancelled_halfway(hub, kind, tmp_path)
    (partial,) = partials(tmp_path)
    partial.write_bytes(b"X" * partial.stat().st_size)
    assert get(one_file(kind), tmp_path)[0].read_bytes() == BIG


@both_hubs
def test_a_partial_file_of_another_revision_is_not_continued(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": BIG}
    cancelled_halfway(hub, kind, tmp_path)
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF


def test_a_file_that_vanished_from_the_cache_is_fetched_again(hub: HubStandIn, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = writer.checkpoint_files()
    path, _ = get(Location(Hub.HUGGINGFACE, REPOSITORY), tmp_path)
    (path / "tokenizer.json").unlink()
    hub.served = Counter()
    get(Location(Hub.HUGGINGFACE, REPOSITORY), tmp_path)
    assert hub.served.keys() == {"tokenizer.json"}
