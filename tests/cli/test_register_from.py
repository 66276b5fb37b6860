"""`slipway register --from`: a repository's family, written, registered and planned by its name."""

import json
from pathlib import Path

import pytest

from slipway.cli import main
from slipway.types import Hub
from tests import gguf_writer as writer
from tests.hub_stand_in import HubStandIn
from tests.hubs.conftest import hub

__all__ = ["hub"]
REPOSITORY = "Tiny/Model-GGUF"


def plan_of(name: str, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, object]:
    capsys.readouterr()
    assert main(["launch", "--dry-run", "--json", "--model-name", name, *flags]) == 0, capsys.readouterr().err
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_repository_is_registered_and_planned_by_its_name(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    hub.files[REPOSITORY] = {"M-Q8_0.gguf": writer.gguf(), "M-UD-Q2_K_XL.gguf": writer.gguf() + bytes(64)}
    out = tmp_path / "mine.toml"
    assert main(["register", "--from", REPOSITORY, "--download-hub", "modelscope", "-f", str(out)]) == 0
    assert "Model-GGUF is registered" in capsys.readouterr().out
    assert 'modelscope = { repository = "Tiny/Model-GGUF"' in out.read_text()
    hub.files.clear()
    hub.requests.clear()
    told = plan_of("Model-GGUF", capsys, "--quantization", "UD-Q2_K_XL")
    assert told["source"] == {
        "hub": str(Hub.MODELSCOPE),
        "repository": REPOSITORY,
        "revision": None,
        "files": ["M-UD-Q2_K_XL.gguf"],
        "path": str(tmp_path / "home/models/modelscope/Tiny--Model-GGUF/main/M-UD-Q2_K_XL.gguf"),
    }
    assert hub.requests == [], "a family of the catalogue is planned without a hub"
    assert main(["register", "--from", REPOSITORY]) == 1
    assert main(["register"]) == 2


def test_a_dry_run_of_a_repository_tells_what_was_detected(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    hub.files[REPOSITORY] = {"M-Q8_0.gguf": writer.gguf()}
    told = plan_of(REPOSITORY, capsys)
    detected = told["detected"]
    assert isinstance(detected, dict)
    assert (detected["architecture"], detected["quantizations"]) == ("Qwen2ForCausalLM", {"ggufv2": ["Q8_0"]})
    assert main(["launch", "--dry-run", "--model-name", REPOSITORY]) == 0
    text = capsys.readouterr().out
    assert "detected from its own files" in text
    assert "detected:" in text
    hub.files.clear()
    assert main(["launch", "--dry-run", "--model-name", "No/Such"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_path_is_registered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    path = tmp_path / "tiny.gguf"
    path.write_bytes(writer.gguf())
    assert main(["register", "--from", str(path)]) == 0
    told = plan_of("Tiny-Model", capsys)
    assert isinstance(told["source"], dict)
    assert told["source"]["path"] == str(path)
