"""Every spec of the seed pages, from every hub that has it: fetched, its headers checked, planned, and then offline."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.control.planner import PlanContext, check, plan
from slipway.hubs.download import fetch
from slipway.hubs.inventory import cached
from slipway.parameters import LaunchRequest
from slipway.runtime.preparation import Making, prepare
from slipway.settings import Settings
from slipway.types import Format, Hub, Machine
from tests.hub_stand_in import HubStandIn, hub_stand_in
from tests.spec_stand_ins import Case, cases, files_of, kept

CASES = list(cases())
CATALOGUE = load_catalogue()
GIB = 1024**3
MACHINE = Machine(64, 2048 * GIB, 2000 * GIB)


@pytest.fixture(scope="module")
def both() -> Iterator[HubStandIn]:
    with hub_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def hubs_here(both: HubStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN", "MODELSCOPE_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELSCOPE_CREDENTIALS_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("HF_ENDPOINT", both.address)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", both.address)


def test_there_are_60_specs_and_all_that_the_hubs_hold() -> None:
    assert len({(case.family.name, case.spec.format, case.spec.size, case.spec.quantizations) for case in CASES}) == 60
    assert [sum(case.source.hub is hub for case in CASES) for hub in (Hub.HUGGINGFACE, Hub.MODELSCOPE)] == [60, 49]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_spec_is_fetched_checked_and_planned(both: HubStandIn, case: Case, tmp_path: Path) -> None:
    both.files = {case.repository: files_of(case)}
    both.served.clear()
    context = PlanContext(CATALOGUE, MACHINE, Settings(tmp_path))
    request = LaunchRequest(
        case.family.name,
        size=case.spec.size,
        format=case.spec.format,
        quantization=case.quantization,
        download_hub=case.source.hub,
    )
    planned = plan(request, context)
    location = planned.model.location
    assert (location.hub, location.repository) == (case.source.hub, case.repository)
    path = fetch(location, context.settings.models, lambda *_: None, False, threading.Event())
    assert path == location.path
    assert set(both.served) == kept(case, set(both.files[case.repository]))
    (model,) = cached(context.settings.models)
    assert (model.complete, model.path) == (True, path)
    prepare(planned.model, path, Making(lambda *_: None, threading.Event()))
    both.files = {}
    again = plan(request, context)
    fetch(again.model.location, context.settings.models, lambda *_: None, True, threading.Event())
    if case.spec.format in {Format.GGUF, Format.GGML}:
        check(again, request, MACHINE)
        served = [Path(word) for word in again.launch.argv if word.endswith(".gguf")]
        assert served and all(each.is_file() for each in served)
