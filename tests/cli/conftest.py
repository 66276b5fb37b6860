"""A stub server for every test that asks for one, and an environment with no settings of the user's in it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stub import Stub, serving

SETTINGS = ("ENDPOINT", "HOST", "PORT", "API_KEY", "API_KEYS", "DEBUG")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(f"SLIPWAY_{name}", raising=False)
    monkeypatch.delenv("XINFERENCE_ENDPOINT", raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with serving(Stub()) as running:
        monkeypatch.setenv("SLIPWAY_ENDPOINT", running.address)
        yield running


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
