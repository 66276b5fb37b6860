"""The launch API in the shapes that Xinference's clients send and read; logs, health, metrics."""

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import slipway
from slipway.deployment import Failure, Observation, Phase
from slipway.errors import EngineFailed
from tests.gateway.stage import SECRET, Gateway, error_in, until

# What Xinference's client sends for launch_model("tiny", "llama.cpp", model_size_in_billions=0.5, …), nulls included.
XINFERENCE_LAUNCH = {
    "model_uid": "my-tiny",
    "model_name": "tiny",
    "model_engine": "llama.cpp",
    "peft_model_config": None,
    "model_type": "LLM",
    "model_size_in_billions": "0.5",
    "model_format": "ggufv2",
    "quantization": "q8_0",
    "replica": 1,
    "n_worker": 1,
    "n_gpu": "auto",
    "request_limits": None,
    "worker_ip": None,
    "gpu_idx": None,
    "replica_config": None,
    "model_path": None,
    "enable_thinking": None,
    "enable_virtual_env": None,
    "virtual_env_packages": None,
    "virtual_env_find_links": None,
    "envs": None,
}


async def test_launch_answers_when_ready(gateway: Gateway) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(post(gateway, "/v1/models", XINFERENCE_LAUNCH))
        await until(lambda: "my-tiny" in gateway.control.known)
        assert not asking.done()
        gateway.control.ready.set()
    assert asking.result() == (200, {"model_uid": "my-tiny"})
    request = gateway.control.launched[0]
    assert (request.size, request.format, request.quantization, request.uid) == ("0_5", "ggufv2", "q8_0", "my-tiny")
    assert request.n_gpu is None
    assert request.engine_options == {}


@pytest.mark.parametrize(
    ("query", "extra"), [("?wait_ready=False", {}), ("?wait_ready=false", {}), ("", {"wait_ready": False})]
)
async def test_launch_answers_at_once_if_asked(gateway: Gateway, query: str, extra: dict[str, bool]) -> None:
    assert await post(gateway, "/v1/models" + query, {"model_name": "x", **extra}) == (200, {"model_uid": "x"})
    assert gateway.control.known["x"].phase is Phase.STARTING


async def test_launch_that_fails_tells_the_cause(gateway: Gateway) -> None:
    gateway.control.failure = EngineFailed("the engine ran out of memory\n  last line", code="launch_failed")
    gateway.control.ready.set()
    status, value = await post(gateway, "/v1/models", {"model_name": "x"})
    assert status == 502
    assert error_in(value)["code"] == "launch_failed"
    assert "out of memory" in str(value["detail"])  # where Xinference's clients look


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"", 400),
        (b"{}", 400),
        (b'{"model_name": 5}', 400),
        (b'{"model_name": "x", "replica": 0}', 400),
        (b'{"model_name": "x", "wait_ready": "maybe"}', 400),
        (b'{"model_name": "x", "model_type": "image"}', 400),
        (b'{"model_name": "x", "trust_remote_code": true}', 400),
        (b'{"model_name": "tiny"}', 409),
    ],
)
async def test_bad_launches(gateway: Gateway, body: bytes, status: int) -> None:
    assert (await gateway.error_of(body, "/v1/models"))[0] == status
    assert gateway.control.launched == []


async def test_launch_goes_on_when_its_client_leaves(gateway: Gateway) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await post(gateway, "/v1/models", {"model_name": "x"})
    assert [each.model_name for each in gateway.control.launched] == ["x"]
    gateway.control.ready.set()
    await until(lambda: gateway.control.known["x"].phase is Phase.READY)


async def test_models_are_listed_when_ready(gateway: Gateway) -> None:
    gateway.control.put("slow", phase=Phase.STARTING)
    status, value = await gateway.get("/v1/models")
    assert (status, value["object"]) == (200, "list")
    assert [each["id"] for each in value["data"]] == ["tiny"]
    _, value = await gateway.get("/v1/models?all=true")
    assert [each["id"] for each in value["data"]] == ["tiny", "slow"]
    assert (await gateway.get("/v1/models?all=perhaps"))[0] == 400


async def test_model_is_described(gateway: Gateway) -> None:
    status, value = await gateway.get("/v1/models/tiny")
    assert status == 200
    address = value.pop("address")
    assert address == "127.0.0.1:0"
    assert SECRET not in json.dumps(value)
    assert gateway.control.routes["tiny"].endpoints[0].address not in json.dumps(value)
    assert value.pop("phase_since") > 1_700_000_000
    assert value == {
        "id": "tiny",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "slipway",
        "model_uid": "tiny",
        "model_type": "LLM",
        "accelerators": [],
        "model_name": "tiny",
        "model_lang": ["en"],
        "model_ability": ["chat"],
        "model_description": "A model for tests.",
        "model_format": "ggufv2",
        "model_size_in_billions": "0_005",
        "model_family": "tiny",
        "quantization": "q8_0",
        "model_hub": "huggingface",
        "revision": None,
        "context_length": 2048,
        "replica": 1,
        "model_engine": "llama.cpp",
        "phase": "ready",
        "parallel": 1,
        "memory": {
            "terms": [{"name": "weights", "bytes": 5_000_000, "detail": "by hand"}],
            "total_bytes": 5_000_000,
        },
        "progress": None,
        "installing": None,
        "failure": None,
        "replicas": [{"replica": "tiny-0", "phase": "pending", "pid": None, "restarts": 0, "log": None, "cause": None}],
        "reasons": [],
        "warnings": [],
    }


async def test_progress_and_failure_are_told(gateway: Gateway) -> None:
    seen = Observation("f-0", fetching_since=1.0, fetched_bytes=500, fetch_total_bytes=1000, fetch_bytes_per_s=100.0)
    gateway.control.see("f", Phase.FETCHING, (seen,))
    _, value = await gateway.get("/v1/models/f")
    assert value["progress"] == {
        "fetched_bytes": 500,
        "total_bytes": 1000,
        "bytes_per_s": 100.0,
        "seconds_left": 5.0,
    }
    assert (await gateway.get("/v1/models/f/progress"))[1] == {"progress": 0.45}
    failure = Failure("no memory", ("a", "b"), 9)
    gateway.control.see("g", Phase.FAILED, (Observation("g-0", failure=failure),), failure)
    _, value = await gateway.get("/v1/models/g")
    assert value["failure"] == {"cause": "no memory", "log_tail": ["a", "b"], "exit_code": 9}
    assert value["replicas"][0]["phase"] == "failed"


async def test_terminate(gateway: Gateway) -> None:
    async with gateway.session.delete(gateway.url + "/v1/models/tiny") as response:
        assert (response.status, await response.json()) == (200, {"model_uid": "tiny"})
    assert gateway.control.known == {}
    async with gateway.session.delete(gateway.url + "/v1/models/tiny") as response:
        assert response.status == 404
        error_in(await response.json())


async def post(gateway: Gateway, path: str, body: object) -> tuple[int, dict[str, object]]:
    async with gateway.session.post(gateway.url + path, json=body) as response:
        return response.status, await response.json()


# ---------------------------------------------------------------- logs


@pytest.fixture
def log(gateway: Gateway, tmp_path: Path) -> Path:
    """The log of "logged", of 300 lines."""
    path = tmp_path / "engine.log"
    path.write_text("".join(f"line {number}\n" for number in range(300)))
    gateway.control.see("logged", Phase.READY, (Observation("logged-0", log_path=path),))
    return path


async def test_log_tail(gateway: Gateway, log: Path) -> None:
    for query, count in (("", 200), ("?lines=2", 2), ("?lines=0", 0), ("?lines=9999", 300), ("?replica=logged-0", 200)):
        async with gateway.session.get(f"{gateway.url}/v1/models/logged/logs{query}") as response:
            assert response.content_type == "text/plain"
            lines = (await response.text()).splitlines()
        assert len(lines) == count
        assert not lines or lines[-1] == "line 299"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("logged/logs?lines=-1", 400),
        ("logged/logs?lines=1000000", 400),
        ("logged/logs?lines=" + "9" * 5000, 400),
        ("logged/logs?follow=x", 400),
        ("logged/logs?replica=no", 404),
        ("nobody/logs", 404),
    ],
)
async def test_bad_log_requests(gateway: Gateway, log: Path, path: str, status: int) -> None:
    found, value = await gateway.get(f"/v1/models/{path}")
    assert found == status
    error_in(value)


async def test_log_is_followed_until_the_model_is_gone(gateway: Gateway, log: Path) -> None:
    async with gateway.session.get(gateway.url + "/v1/models/logged/logs?lines=1&follow=true") as response:
        assert await response.content.readline() == b"line 299\n"
        with log.open("a") as file:
            file.write("more\n")
        assert await response.content.readline() == b"more\n"
        with log.open("w") as file:  # rotated
            file.write("afresh\n")
        assert await response.content.readline() == b"afresh\n"
        del gateway.control.known["logged"]
        assert await response.content.read() == b""


async def test_model_without_a_log_yet(gateway: Gateway) -> None:
    async with gateway.session.get(gateway.url + "/v1/models/tiny/logs") as response:
        assert (response.status, await response.text()) == (200, "")


# ---------------------------------------------------------------- health and metrics


async def test_health(gateway: Gateway) -> None:
    assert await gateway.get("/health") == (200, {"status": "ok", "version": slipway.__version__})
    async with gateway.session.head(gateway.url + "/health") as response:
        assert response.status == 200


async def test_metrics(gateway: Gateway) -> None:
    await gateway.error_free({"model": "tiny"})
    async with gateway.chat({"model": "tiny", "stream": True}) as response:
        sent = len(await response.read())
    for number in range(5):
        await gateway.error_of({"model": f"unknown-{number}"})
    gateway.control.put("slow", phase=Phase.STARTING)
    async with gateway.session.get(gateway.url + "/metrics") as response:
        text = await response.text()
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    route = "/v1/chat/completions"
    assert values[("slipway_requests_total", *sorted((route, "tiny", "200")))] == 2
    assert values[("slipway_requests_total", *sorted((route, "", "404")))] == 5
    assert values[("slipway_tokens_total", "prompt", "tiny")] == 9
    assert values[("slipway_tokens_total", "completion", "tiny")] == 3
    assert values[("slipway_sent_bytes_total", *sorted((route, "tiny")))] > sent
    assert values[("slipway_request_seconds_count", *sorted((route, "tiny")))] == 2
    assert values[("slipway_first_byte_seconds_count", *sorted((route, "tiny")))] == 2
    assert values[("slipway_deployments", "starting")] == 1
    assert values[("slipway_requests_in_flight",)] == 1  # the scrape itself
    assert values[("slipway_resident_memory_bytes",)] > 1e7
    assert "unknown-" not in text
