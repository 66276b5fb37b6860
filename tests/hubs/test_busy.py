"""Hubs that want to be asked less: 429 with Retry-After, on listings and on files, waited for within reason."""

import logging
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from slipway.errors import Cancelled
from slipway.hubs.refusal import retry_after_s
from slipway.types import Hub
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import GGUF, REPOSITORY, both_hubs, get, one_file, refusal


@both_hubs
@pytest.mark.parametrize("what", ["", "tiny.gguf"], ids=["listing", "file"])
def test_a_hub_that_is_busy_is_asked_again(hub: HubStandIn, kind: Hub, what: str, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.too_many[what] = 2
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF


@both_hubs
@pytest.mark.parametrize("what", ["", "tiny.gguf"], ids=["listing", "file"])
def test_the_wait_it_asks_for_is_told_where_it_is_too_long(
    hub: HubStandIn, kind: Hub, what: str, tmp_path: Path
) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.too_many[what], hub.retry_after = 1, "3600"
    message = refusal(one_file(kind), tmp_path)
    assert "429, too many requests" in message
    assert "try again in 3600 s, as it asks" in message
    assert get(one_file(kind), tmp_path)[0].read_bytes() == GGUF, "the retry works"


@both_hubs
def test_the_wait_it_asks_for_is_kept(hub: HubStandIn, kind: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.too_many["tiny.gguf"], hub.retry_after = 1, "1"
    began_s = time.monotonic()
    get(one_file(kind), tmp_path)
    assert time.monotonic() - began_s >= 1


@both_hubs
@pytest.mark.parametrize("what", ["", "tiny.gguf"], ids=["listing", "file"])
def test_a_wait_can_be_cancelled(hub: HubStandIn, kind: Hub, what: str, tmp_path: Path) -> None:
    hub.files[REPOSITORY] = {"tiny.gguf": GGUF}
    hub.too_many[what], hub.retry_after = 1, "100"
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began_s = time.monotonic()
    with pytest.raises(Cancelled):
        get(one_file(kind), tmp_path, cancel=cancel)
    assert time.monotonic() - began_s < 10


def test_a_wait_is_a_number_or_a_date() -> None:
    assert retry_after_s({"Retry-After": "5"}) == 5
    in_ten_minutes = retry_after_s({"Retry-After": formatdate(time.time() + 600, usegmt=True)})
    assert in_ten_minutes is not None
    assert 400 <= in_ten_minutes <= 600
    assert retry_after_s({"Retry-After": formatdate(0, usegmt=True)}) == 0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e9", "9" * 40])
def test_a_wait_that_is_none(text: str) -> None:
    assert retry_after_s({"Retry-After": text}) is None


@both_hubs
def test_no_token_is_ever_logged(
    hub: HubStandIn, kind: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.files[REPOSITORY], hub.token, hub.redirect = {"tiny.gguf": GGUF}, "hf_right_secret", True
    caplog.set_level(logging.DEBUG)
    for token in ("hf_wrong_secret", "hf_right_secret"):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setenv("MODELSCOPE_API_TOKEN", token)
        if token == "hf_wrong_secret":
            assert "secret" not in refusal(one_file(kind), tmp_path)
        else:
            get(one_file(kind), tmp_path)
    assert caplog.records, "nothing was logged at all: this test would see nothing"
    assert "secret" not in caplog.text
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    assert stored == []
