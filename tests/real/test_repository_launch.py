"""A repository that is in no catalogue, launched by its name: detected, fetched from the first hub, and answering."""

from pathlib import Path

import pytest

import slipway
from tests.hub_stand_in import hub_stand_in
from tests.real.server import running_server

pytestmark = pytest.mark.engine

PILOT = Path(slipway.__file__).parent / "pilot" / "pilot-q8_0.gguf"
REPOSITORY = "someone/Pilot-5M-GGUF"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def test_a_repository_launches_by_its_name_and_then_without_a_network(tmp_path: Path) -> None:
    with hub_stand_in() as hub:
        hub.files[REPOSITORY] = {"Pilot-5M-Q8_0.gguf": PILOT.read_bytes(), "README.md": b"#"}
        hubs = {"HF_ENDPOINT": hub.address, "MODELSCOPE_ENDPOINT": hub.address}
        with running_server(tmp_path, **hubs) as server:
            done = server.run("launch", "--model-name", REPOSITORY)
            assert done.returncode == 0, done.stderr
            assert "detected from its own files, looked at on the hub" in done.stdout
            assert "the first to answer" in done.stdout
            assert "Paris" in server.chat("Pilot-5M-GGUF", QUESTION)["content"]
        with running_server(tmp_path, SLIPWAY_OFFLINE="1") as server:
            asked = len(hub.requests)
            done = server.run("launch", "--model-name", REPOSITORY)
            assert done.returncode == 0, done.stderr
            assert "Paris" in server.chat("Pilot-5M-GGUF", QUESTION)["content"]
            refused = server.run("launch", "--model-name", "someone/else")
            assert refused.returncode == 1
            assert "offline mode is on" in refused.stderr
            assert len(hub.requests) == asked


def test_a_registered_repository_launches_by_its_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_stand_in() as hub:
        hub.files[REPOSITORY] = {"Pilot-5M-Q8_0.gguf": PILOT.read_bytes()}
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        with running_server(tmp_path) as server:
            done = server.run("register", "--from", REPOSITORY, "--download-hub", "huggingface")
            assert done.returncode == 0, done.stderr
            done = server.run("launch", "--model-name", "Pilot-5M-GGUF", "--model-uid", "mine")
            assert done.returncode == 0, done.stderr
            assert "Paris" in server.chat("mine", QUESTION)["content"]
