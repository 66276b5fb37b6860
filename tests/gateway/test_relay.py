"""The relay in front of engines that behave: bytes pass untouched, headers do not leak, clients may leave."""

import asyncio
import json

import pytest
from aiohttp import ClientSession, TCPConnector
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.gateway import proxy
from slipway.gateway.protocol import GatewayProtocol
from slipway.settings import Settings
from tests.fake_engine import event
from tests.gateway.stage import SECRET, Engine, FakeControl, Gateway, running_engine, running_gateway, until

ABORT_BOUND_S = 1.0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_answer_and_request_bytes_pass_untouched(gateway: Gateway, engine: Engine, path: str) -> None:
    body = b'{ "messages":[{"role":"user","content":"\xc3\xa9 \\u00e9"}],\n "model" : "tiny", "x": 1e3 }'
    async with gateway.chat(body, path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        answer = await response.read()
    assert json.loads(answer)["choices"][0]["message"]["content"] == "Hello there."
    asked = (await engine.record())["requests"][-1]
    assert asked["path"] == path
    assert asked["body"].encode() == body


async def test_stream_passes_identical_bytes(gateway: Gateway) -> None:
    async with gateway.chat({"model": "tiny", "stream": True, "fake": {"chunks": 50}}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        got = await response.read()
    assert got == b"".join(event(number, "tiny") for number in range(50)) + b"data: [DONE]\n\n"


async def test_stream_chunks_come_as_they_are_made(gateway: Gateway) -> None:
    async with gateway.chat({"model": "tiny", "stream": True, "fake": {"chunk_delay_s": 0.2, "chunks": 3}}) as response:
        assert await response.content.readany() == event(0, "tiny")
        assert await response.content.readany() == event(1, "tiny")


async def test_client_headers_do_not_reach_the_engine(gateway: Gateway, engine: Engine) -> None:
    headers = {
        "Authorization": "Bearer of-the-client",
        "Cookie": "a=b",
        "X-Forwarded-For": "10.0.0.1",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Content-Type": "text/plain",
    }
    async with gateway.session.post(
        gateway.url + "/v1/completions", data=b'{"model":"tiny"}', headers=headers
    ) as response:
        assert response.status == 200
    got = (await engine.record())["requests"][-1]["headers"]
    assert got.pop("authorization") == f"Bearer {SECRET}"
    assert got.pop("content-type") == "application/json"
    assert set(got) == {"host", "accept", "accept-encoding", "user-agent", "content-length"}


async def test_every_response_has_its_own_request_id(gateway: Gateway) -> None:
    ids = set()
    for path in ("/health", "/nowhere", "/v1/models"):
        async with gateway.session.get(gateway.url + path) as response:
            ids.add(response.headers["x-request-id"])
    async with gateway.chat() as response:
        ids.add(response.headers["x-request-id"])
    assert len(ids) == 4


@pytest.mark.parametrize("protocol", [GatewayProtocol, HttpToolsProtocol])
@pytest.mark.parametrize("size", [1, 500_000])
@pytest.mark.parametrize("fake", [{"hang": True}, {"chunks": 1000, "chunk_delay_s": 0.01}])
async def test_engine_is_cancelled_when_the_client_leaves(
    engine: Engine, settings: Settings, fake: dict[str, object], size: int, protocol: type[HttpToolsProtocol]
) -> None:
    control = FakeControl()
    control.put("tiny", engine.address)
    body = {"model": "tiny", "stream": "hang" not in fake, "fake": fake, "text": "x" * size}
    record = await engine.record()
    async with running_gateway(control, settings, protocol) as gateway:
        asking = asyncio.ensure_future(gateway.read_once(body))
        await until(lambda: engine.was_asked(len(record["requests"])))
        if "hang" not in fake:
            await asking
        asking.cancel()
        await asyncio.wait({asking})

        async def aborted() -> bool:
            return await engine.aborts() == int(record["aborts"]) + 1

        await until(aborted, ABORT_BOUND_S)


async def test_connection_serves_many_requests(gateway: Gateway, engine: Engine) -> None:
    aborts = await engine.aborts()
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        for number in range(20):
            async with session.post(
                gateway.url + "/v1/chat/completions", json={"model": "tiny", "stream": number % 2 == 0}
            ) as response:
                assert response.status == 200
                await response.read()
    assert await engine.aborts() == aborts


async def test_requests_go_to_the_idle_replica(gateway: Gateway, engine: Engine) -> None:
    with running_engine() as other:
        gateway.control.put("pair", engine.address, other.address)
        before = len((await engine.record())["requests"])
        slow = {"model": "pair", "fake": {"delay_s": 0.5}}
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(gateway.error_free(slow))
        assert len((await engine.record())["requests"]) - before == 2
        assert len((await other.record())["requests"]) == 2


async def test_another_replica_is_asked_when_one_is_dead(gateway: Gateway, engine: Engine) -> None:
    with running_engine() as dead:
        pass
    gateway.control.put("pair", dead.address, engine.address)
    for _ in range(4):
        await gateway.error_free({"model": "pair"})


async def test_another_replica_is_asked_once_when_one_drops_the_request(gateway: Gateway, engine: Engine) -> None:
    with running_engine("--behave", '{"drop": "before"}') as dropping:
        gateway.control.put("pair", dropping.address, engine.address)
        for _ in range(4):
            await gateway.error_free({"model": "pair"})
        assert (await dropping.record())["requests"]


async def test_new_routes_are_followed_at_once(gateway: Gateway, engine: Engine) -> None:
    gateway.control.put("second", engine.address)
    await gateway.error_free({"model": "second"})
    gateway.control.routes = {}
    gateway.control.known = {}
    status, error = await gateway.error_of({"model": "second"})
    assert (status, error["code"]) == (404, "model_not_found")


async def test_large_bodies_pass_and_larger_ones_are_refused(
    gateway: Gateway, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"model": "tiny", "text": "x" * 3_000_000}).encode()
    async with gateway.chat(body) as response:
        assert response.status == 200
    assert len((await engine.record())["requests"][-1]["body"]) == len(body)
    monkeypatch.setattr("slipway.gateway.exchange.BODY_LIMIT_BYTES", 2_000_000)
    status, error = await gateway.error_of(body)
    assert (status, error["code"]) == (413, "too_large")


async def test_answer_over_the_limit_is_refused(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "ANSWER_LIMIT_BYTES", 1_000_000)
    lie = {"type": "application/json", "body": json.dumps("x" * 2_000_000)}
    status, error = await gateway.error_of(answer=lie)
    assert status == 502
    assert "larger" in error["message"]


async def test_an_engine_may_close_its_connection_after_an_answer_without_a_word(gateway: Gateway) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        text = event(0, "hasty") + b"data: [DONE]\n\n"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text))
        await asyncio.sleep(0.001)  # the answer is read and the connection back in the pool before it closes
        writer.close()

    async def ask() -> set[int]:
        seen = set()
        for _ in range(40):
            async with gateway.chat({"model": "hasty", "stream": True}) as response:
                seen.add(response.status)
                await response.read()
        return seen

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        gateway.control.put("hasty", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert set().union(*await asyncio.gather(*(ask() for _ in range(8)))) == {200}
