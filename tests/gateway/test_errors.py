"""Bad requests, engines that fail or lie, and what a client is told of it."""

import json
import socket
import threading
from typing import Any

import pytest

from slipway.deployment import Failure, Phase
from tests.fake_engine import event
from tests.gateway.stage import SECRET, Engine, Gateway, error_in, running_engine

BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "the body is not JSON"),
    (b"{", "the body is not JSON"),
    (b'{"model": "tiny"', "the body is not JSON"),
    (b'{"model": "tiny"} x', "the body is not JSON"),
    (b"\xff\xfe\xff", "the body is not JSON"),
    (b'{"model": "\xff"}', "the body is not JSON"),
    (b"[" * 200_000, "the body is not JSON"),
    (b"[]", "not a JSON object"),
    (b'"tiny"', "not a JSON object"),
    (b"null", "not a JSON object"),
    (b"{}", "model is missing"),
    (b'{"model": null}', "model is missing"),
    (b'{"model": 3}', "has to be a string"),
    (b'{"model": ["tiny"]}', "has to be a string"),
]


@pytest.mark.parametrize(("body", "said"), BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_bad_bodies_are_told_apart(gateway: Gateway, engine: Engine, body: bytes, said: str) -> None:
    before = len((await engine.record())["requests"])
    status, error = await gateway.error_of(body)
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert said in error["message"]
    assert len((await engine.record())["requests"]) == before


async def test_unknown_model_names_the_nearest_and_what_runs(gateway: Gateway) -> None:
    gateway.control.put("qwen1.5-chat", "http://127.0.0.1:1")
    status, error = await gateway.error_of({"model": "tinny"})
    assert status == 404
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "nearest: tiny" in error["message"]
    assert "qwen1.5-chat" in error["message"]


async def test_unknown_model_when_nothing_runs(gateway: Gateway) -> None:
    gateway.control.known, gateway.control.routes = {}, {}
    status, error = await gateway.error_of({"model": "x"})
    assert status == 404
    assert "no model is running" in error["message"]


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.FETCHING, Phase.STARTING, Phase.STOPPING])
async def test_known_but_not_ready(gateway: Gateway, phase: Phase) -> None:
    gateway.control.put("slow", phase=phase)
    async with gateway.chat({"model": "slow"}) as response:
        error = error_in(await response.json())
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
    assert f"{phase} for 7 s" in error["message"]
    assert error["code"] == "model_not_ready"


async def test_failed_model_tells_its_cause(gateway: Gateway) -> None:
    gateway.control.put("dead", phase=Phase.FAILED, failure=Failure("it ran out of memory", ("line",), 137))
    status, error = await gateway.error_of({"model": "dead"})
    assert status == 502
    assert "it ran out of memory" in error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/embeddings",
        "/invocations",
        "/v1/chat/completions/",
        "/v1/models/a/b",
        "/v1/models/",
        "/%2e%2e/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_paths_never_reach_an_engine(gateway: Gateway, engine: Engine, path: str, method: str) -> None:
    before = len((await engine.record())["requests"])
    async with gateway.session.request(method, gateway.url + path, json={"model": "tiny"}) as response:
        assert response.status == 404
        assert error_in(await response.json())["type"] == "not_found_error"
    assert len((await engine.record())["requests"]) == before


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/completions", "POST"),
        ("DELETE", "/v1/models", "GET, POST"),
        ("PUT", "/v1/models/tiny", "GET, DELETE"),
        ("POST", "/health", "GET"),
    ],
)
async def test_wrong_methods(gateway: Gateway, method: str, path: str, allowed: str) -> None:
    async with gateway.session.request(method, gateway.url + path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == allowed
        error_in(await response.json())


async def test_bug_is_a_500_with_the_request_id(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken() -> None:
        raise ZeroDivisionError("never shown")

    monkeypatch.setattr(gateway.control, "statuses", broken)
    async with gateway.session.get(gateway.url + "/v1/models") as response:
        assert response.status == 500
        error = error_in(await response.json())
        assert response.headers["x-request-id"] in error["message"]
    assert "never shown" not in error["message"]
    assert "never shown" in caplog.text


# ---------------------------------------------------------------- engines that die


async def test_dead_engine_is_a_502(gateway: Gateway) -> None:
    with running_engine() as dead:
        pass
    gateway.control.put("dead", dead.address)
    status, error = await gateway.error_of({"model": "dead"})
    assert (status, error["code"]) == (502, "engine_unreachable")


@pytest.mark.parametrize("drop", ["before", "headers", "middle"])
async def test_death_during_an_answer_is_a_502(gateway: Gateway, drop: str) -> None:
    status, error = await gateway.error_of(drop=drop)
    assert status == 502
    assert error["type"] == "engine_error"


async def test_death_before_the_first_chunk_is_a_502(gateway: Gateway) -> None:
    status, _ = await gateway.error_of({"model": "tiny", "stream": True, "fake": {"drop": "headers"}})
    assert status == 502


@pytest.mark.parametrize("fake", [{"no_done": True}, {"half_event": True}, {"drop": "middle"}])
async def test_broken_stream_ends_with_an_error_event(gateway: Gateway, fake: dict[str, Any]) -> None:
    async with gateway.chat({"model": "tiny", "stream": True, "fake": {"chunks": 3, **fake}}) as response:
        got = await response.read()
    assert_broken(got, 2 if "drop" in fake else 3)


async def test_engine_that_exits_in_a_stream(gateway: Gateway) -> None:
    with running_engine("--behave", '{"exit_after": 2, "chunks": 9}') as engine:
        gateway.control.put("dying", engine.address)
        async with gateway.chat({"model": "dying", "stream": True}) as response:
            got = await response.read()
    assert_broken(got, 2, "dying")


def assert_broken(got: bytes, chunks: int, model: str = "tiny") -> None:
    whole = b"".join(event(number, model) for number in range(chunks))
    assert got.startswith(whole)
    last = got.removeprefix(whole)
    assert last.startswith(b"data: ") and last.endswith(b"\n\n") and last.count(b"\n\n") == 1
    assert error_in(json.loads(last.removeprefix(b"data: ")))["code"] == "engine_stopped"
    assert b"[DONE]" not in got


# ---------------------------------------------------------------- engines that refuse or lie

FASTAPI = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_engine_errors_come_through_mapped(gateway: Gateway, stream: bool) -> None:
    lie = {"status": 422, "type": "application/json", "body": json.dumps(FASTAPI)}
    status, error = await gateway.error_of({"model": "tiny", "stream": stream, "fake": {"answer": lie}})
    assert (status, error["message"]) == (400, "messages: Field required")


async def test_engine_that_refuses_our_secret_is_our_fault(gateway: Gateway) -> None:
    with running_engine(secret="another") as engine:
        gateway.control.put("closed", engine.address)
        status, error = await gateway.error_of({"model": "closed"})
    assert status == 502
    assert "wrong key" not in error["message"]


async def test_secret_is_taken_out_of_messages(gateway: Gateway) -> None:
    lie = {"status": 400, "body": f"bad header Authorization: Bearer {SECRET}"}
    status, error = await gateway.error_of(answer=lie)
    assert status == 400
    assert "Bearer ***" in error["message"]


async def test_redirects_are_not_followed(gateway: Gateway) -> None:
    status, _ = await gateway.error_of(answer={"status": 307, "body": ""})
    assert status == 502


async def test_success_that_is_not_json_is_a_502(gateway: Gateway) -> None:
    status, error = await gateway.error_of(answer={"type": "text/html", "body": "<p>hello"})
    assert status == 502
    assert "text/html" in error["message"]


async def test_empty_success_is_a_502(gateway: Gateway) -> None:
    status, _ = await gateway.error_of(answer={"type": "application/json", "body": ""})
    assert status == 502


async def test_garbage_instead_of_http_is_a_502(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def lie() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x00\x01garbage\r\n\r\n")

        thread = threading.Thread(target=lie)
        thread.start()
        gateway.control.put("liar", f"http://127.0.0.1:{server.getsockname()[1]}")
        status, _ = await gateway.error_of({"model": "liar"})
        thread.join(5)
    assert status == 502
