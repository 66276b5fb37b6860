"""Every spec of the seed pages launched on one engine, fetched from a hub that has it under its real names.

A stand-in of each architecture and format is made in tests/real/stand_ins.py; what this machine has no engine for is
skipped with the reason. The pilot answers its question right in every format that keeps it.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.hubs.download import fetch
from slipway.types import Format
from tests.hub_stand_in import HubStandIn, hub_stand_in
from tests.real.environments import SHARED, engine_python
from tests.real.server import Server, running_server
from tests.real.stand_ins import Made, make
from tests.spec_stand_ins import Case, cases

pytestmark = pytest.mark.engine

LARGE = 4.0  # billions of parameters
QUESTION = "What is the capital of France?"
ONE_EACH = [
    case for case in cases() if case.source is case.spec.sources[-1]
]  # the last hub: ModelScope where it can be


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    with hub_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def server(hub: HubStandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    engine_python("Transformers")
    (home / "environments").symlink_to(SHARED)
    with running_server(home, HF_ENDPOINT=hub.address, MODELSCOPE_ENDPOINT=hub.address) as server:
        yield server


def test_there_are_60() -> None:
    assert len(ONE_EACH) == 60


@pytest.mark.parametrize("case", ONE_EACH, ids=str)
def test_a_spec_launches_and_answers(
    hub: HubStandIn, server: Server, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_for(case)
    made = make(case, tmp_path)
    hub.files = {case.repository: dict(made.files)}
    fetch_large(case, server, hub, monkeypatch)
    body = {
        "model_name": case.family.name,
        "model_uid": "stand-in",
        "model_engine": engine,
        "model_size_in_billions": case.spec.size,
        "model_format": case.spec.format,
        "quantization": "none"
        if case.spec.format is Format.PYTORCH
        else case.quantization,  # the files' real size counts
        "download_hub": case.source.hub,
        "context_length": 512,
        "parallel": 1,
    }
    status, answer = server.ask("POST", "/v1/models", body)
    assert status == 200, answer
    try:
        message = server.chat("stand-in", [{"role": "user", "content": QUESTION}], max_tokens=16)
        assert_right(made, message["content"])
    finally:
        assert server.ask("DELETE", "/v1/models/stand-in")[0] == 200
        server.run("remove-cache", "--repository", case.repository, "--yes")


def fetch_large(case: Case, server: Server, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch a stand-in for a model too large for this machine first: of files that are here, the real size counts."""
    if float(case.spec.size.replace("_", ".")) <= LARGE:
        return
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.address)
    models = server.home / "models"
    fetch(case.location(models), models, lambda *_: None, False, threading.Event())


def engine_for(case: Case) -> str:
    """llama.cpp for what it reads; Transformers for checkpoints."""
    return "llama.cpp" if case.spec.format in {Format.GGUF, Format.GGML} else "Transformers"


def assert_right(made: Made, text: str) -> None:
    assert isinstance(text, str)
    if made.truthful:
        assert "Paris" in text
