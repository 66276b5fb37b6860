"""One fake engine for all tests of the gateway, and a gateway in front of it for each."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from slipway.settings import Settings
from tests.gateway.stage import Engine, FakeControl, Gateway, running_engine, running_gateway


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running_engine() as engine:
        yield engine


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, port=0)


@pytest.fixture
async def gateway(engine: Engine, settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway that serves the model "tiny"."""
    control = FakeControl()
    control.put("tiny", engine.address)
    async with running_gateway(control, settings) as gateway:
        yield gateway
