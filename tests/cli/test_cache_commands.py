"""`slipway cached` and `remove-cache`: what is told, what is asked, what is deleted."""

import io
import json
from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import candidates, choose_source, location
from slipway.cli import main
from slipway.hubs.cache import StoredFile, slot_of, write_record

VERSION = "qwen1.5-chat--0_5B--ggufv2--q4_k_m"
REPOSITORY = "Qwen/Qwen1.5-0.5B-Chat-GGUF"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A cache with one fetched model of the catalogue in it."""
    directory = tmp_path / "home" / "models"
    family = load_catalogue().family("qwen1.5-chat")
    ((spec, quantization),) = candidates(family, "0_5", "ggufv2", "q4_k_m")
    where = location(choose_source(spec, quantization), quantization, directory)
    slot = slot_of(where, directory)
    assert slot.target is not None
    assert where.repository == REPOSITORY
    slot.path.parent.mkdir(parents=True)
    slot.path.write_bytes(b"x" * 4096)
    write_record(slot.manifest, where, (StoredFile(slot.target, 4096),), None)
    return directory


def weights(models: Path) -> list[Path]:
    return list(models.rglob("*.gguf"))


def test_nothing_cached(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cached"]) == 0
    assert capsys.readouterr().out.startswith("no model files are in ")


@pytest.mark.parametrize("argv", [[], ["-n", "Qwen1.5-chat"], ["--model_name", VERSION]])
def test_cached(argv: list[str], models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cached", *argv], program="xinference") == 0
    _, row, total = capsys.readouterr().out.splitlines()
    assert row.split() == [VERSION, "huggingface:", REPOSITORY, "1", "4", "KiB", "whole"]
    assert total == f"4 KiB in {models}"


def test_cached_of_another_family(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cached", "-n", "pilot"]) == 0
    assert VERSION not in capsys.readouterr().out


def test_cached_as_json(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cached", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["model_name"], entry["model_version"], entry["bytes"]) == ("qwen1.5-chat", VERSION, 4096)
    assert entry["complete"] is True


@pytest.mark.parametrize(
    "argv",
    [
        ["--model-name", "qwen1.5-chat"],
        ["--model_version", VERSION],
        ["-n", VERSION.upper()],
        ["--repository", REPOSITORY.lower()],
    ],
)
def test_removing_with_yes(argv: list[str], models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["remove-cache", *argv, "--yes"], program="xinference") == 0
    assert "deleted; 4 KiB freed" in capsys.readouterr().out
    assert not weights(models)


def test_removing_needs_a_yes(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["remove-cache", "-n", "qwen1.5-chat"]) == 2
    assert "without a terminal to ask on, say --yes" in capsys.readouterr().err
    assert weights(models)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("said", "code", "left"), [("y\n", 0, 0), ("YES\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1), ("", 1, 1)]
)
def test_removing_asks_on_a_terminal(
    said: str, code: int, left: int, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    assert main(["remove-cache", "-n", "qwen1.5-chat"]) == code
    assert len(weights(models)) == left


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["-n", "qwen1.5-chot"], 1, "nearest: qwen1.5-chat"),
        (["-n", "zzz"], 1, "`slipway cached` shows what is there"),
        (["--repository", ".."], 1, "no cached files belong to '..'"),
        ([], 2, "one of the arguments"),
        (["-n", "a", "--repository", "b"], 2, "not allowed with"),
    ],
)
def test_removing_what_is_not_there(
    argv: list[str], code: int, told: str, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove-cache", *argv, "--yes"]) == code
    assert told in capsys.readouterr().err
    assert weights(models)
