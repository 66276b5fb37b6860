"""A model as clients are told of it: where it can be asked, and why a replica of it is not there."""

import json
from pathlib import Path

import pytest

from slipway.deployment import Failure, Observation, Phase
from slipway.gateway.app import create_app
from slipway.gateway.exchange import Message
from slipway.settings import Settings
from tests.gateway.stage import FakeControl, Gateway


@pytest.mark.parametrize(
    ("host", "asked", "address"),
    [
        ("0.0.0.0", "gpu-box.example:8080", "gpu-box.example:8080"),  # noqa: S104 - described, not bound
        ("0.0.0.0", "10.0.0.5", "10.0.0.5:80"),  # noqa: S104
        ("0.0.0.0", "[fd00::5]:9997", "[fd00::5]:9997"),  # noqa: S104
        ("0.0.0.0", "", "127.0.0.1:9997"),  # noqa: S104
        ("::", "[::bad", "[::1]:9997"),
        ("::1", "elsewhere:1", "[::1]:9997"),
        ("127.0.0.1", "localhost:9997", "127.0.0.1:9997"),
    ],
)
async def test_the_address_is_one_that_can_be_asked(tmp_path: Path, host: str, asked: str, address: str) -> None:
    control, sent = FakeControl(), list[Message]()
    control.put("tiny")

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = create_app(control, Settings(tmp_path, host=host, api_keys=("k",)))
    headers = [(b"host", asked.encode()), (b"authorization", b"Bearer k")]
    for path in ("/v1/models", "/v1/models/tiny"):
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
        await app(scope, receive, send)
        value = json.loads(sent[-1]["body"])
        assert value.get("data", [value])[0]["address"] == address
    await app.close()


async def test_a_replica_that_failed_tells_why(gateway: Gateway) -> None:
    gateway.control.see("r", Phase.READY, (Observation("r-0"), Observation("r-1", failure=Failure("no memory"))))
    _, value = await gateway.get("/v1/models/r")
    assert [each["cause"] for each in value["replicas"]] == [None, "no memory"]
