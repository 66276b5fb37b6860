"""One server for the tests of a file, with the pilot launched through the launch API."""

from collections.abc import Iterator

import pytest

from tests.real.server import Server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def pilot(server: Server) -> Server:
    status, answer = server.ask("POST", "/v1/models", {"model_name": "pilot", "parallel": 8})
    assert (status, answer) == (200, {"model_uid": "pilot"})
    return server
