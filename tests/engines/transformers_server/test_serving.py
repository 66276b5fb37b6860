"""The server around the answers: the secret, paths, clients that leave, slow readers, failures midway."""

import asyncio
import io
import json
import time
from typing import Any

import aiohttp
import pytest

from slipway.engines.transformers_server import app as app_module
from slipway.engines.transformers_server.words import Asked, Ending, Progress
from tests.engines.transformers_server.fakes import say, without_end
from tests.engines.transformers_server.stage import HELLO, SECRET, Stage, content, events, serving, until

PATHS = ["/health", "/v1/models", "/metrics", "/v1/chat/completions", "/nowhere"]
ASKED: dict[str, Any] = {"model": "tiny", "messages": HELLO}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("given", [None, "Bearer wrong", SECRET, "Bearer ", "Bearer a-secret2", "Bearer \udcff"])
async def test_nothing_is_answered_without_the_secret(path: str, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("utf-8", "surrogateescape").decode("latin-1")}
    async with serving(lambda asked: say("Hi")) as stage, aiohttp.ClientSession() as client:
        method = "POST" if "chat" in path else "GET"
        async with client.request(method, stage.base + path, headers=headers, json=ASKED) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["type"] == "authentication_error"
    assert stage.generator.asked == []


async def get(stage: Stage, path: str, status: int = 200, method: str = "GET") -> str:
    async with stage.client.request(method, stage.base + path) as answer:
        assert answer.status == status
        return await answer.text()


async def test_what_the_server_says_of_itself() -> None:
    async with serving(lambda asked: say("Hi"), context_length=77) as stage:
        assert json.loads(await get(stage, "/health")) == {"status": "ok"}
        (model,) = json.loads(await get(stage, "/v1/models"))["data"]
        assert (model["id"], model["object"], model["max_model_len"]) == ("tiny", "model", 77)
        assert json.loads(await get(stage, "/v1/models/tiny"))["id"] == "tiny"
        await get(stage, "/v1/models/other", 404)
        await stage.chat()
        metrics = await get(stage, "/metrics")
    assert "slipway_engine_requests_total 1\n" in metrics
    assert "slipway_engine_generated_tokens_total 3\n" in metrics
    assert "slipway_engine_requests_in_progress 0\n" in metrics


async def test_errors_of_http_are_openais_object_too() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        nowhere = json.loads(await get(stage, "/v1/nowhere", 404))
        method = json.loads(await get(stage, "/v1/chat/completions", 405))
        other = await stage.chat(404, model="other")
        padded = io.BytesIO(b" " * (app_module.BODY_LIMIT_BYTES + 1))
        async with stage.client.post(stage.base + "/v1/chat/completions", data=padded) as answer:
            large = await answer.json()
            assert answer.status == 413
    assert nowhere["error"]["code"] == "unknown_path"
    assert "use POST" in method["error"]["message"]
    assert (other["error"]["code"], other["error"]["type"]) == ("model_not_found", "invalid_request_error")
    assert "larger than 32 MiB" in large["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("grammar", [{}, {"guided_choice": ["a"]}], ids=["free", "constrained"])
async def test_a_client_that_leaves_is_cancelled_at_once(stream: bool, grammar: dict[str, Any]) -> None:
    async with serving(lambda asked: without_end(say("again ")), step_s=0.001, context_length=10**9) as stage:
        body = {**ASKED, "stream": stream, "n": 2, **grammar}
        request = asyncio.ensure_future(stage.client.post(stage.base + "/v1/chat/completions", json=body))
        await until(lambda: stage.generator.steps > 5)
        left = time.monotonic()
        if stream:
            (await request).close()
        else:
            request.cancel()
        await until(lambda: len(stage.generator.cancelled) == 2)
        took_s = max(stage.generator.cancelled.values()) - left
        assert "in_progress 0" in await get(stage, "/metrics")
    assert took_s < 1, "far below, but on a busy machine"
    print(f"\nfrom disconnect to cancel: {1000 * took_s:.1f} ms")


async def test_a_client_that_leaves_while_its_sequences_wait_is_cancelled() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        stage.generator.pause(True)
        request = asyncio.ensure_future(stage.client.post(stage.base + "/v1/chat/completions", json=ASKED))
        await until(lambda: len(stage.generator.asked) == 1)
        request.cancel()
        await until(lambda: len(stage.generator.cancelled) == 1)


async def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    async with serving(lambda asked: without_end(say("x" * 50)), context_length=10**9) as stage:
        body = json.dumps({**ASKED, "stream": True, "max_tokens": 20_000}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(stage.base.rsplit(":", 1)[1]), limit=1024)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await until(lambda: stage.generator.steps > 1000)
        stream = await asyncio.wait_for(stage.stream(max_tokens=20), 20)
        assert content(stream) == "x" * 20
        await until(lambda: stage.generator.idle, 30)
        data = b""
        while b"data: [DONE]" not in data:
            data += await asyncio.wait_for(reader.read(2**20), 10)
        writer.close()
    assert data.count(b'"content":"x"') == 20_000


def fails(after: int) -> list[Progress]:
    steps = say("x" * 10)[:after]
    return [*steps, Progress([], Ending.FAILED, error="out of memory, said the test")]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_before_the_first_token_is_a_500(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(lambda asked: fails(0)) as stage:
        error = (await stage.chat(500, stream=stream))["error"]
    assert error["code"] == "generation_failed"
    assert "out of memory" not in error["message"]
    assert "out of memory, said the test" in caplog.text


async def test_a_failure_midway_is_an_error_event_and_no_done() -> None:
    def script(asked: Asked) -> list[Progress]:
        return fails(3) if asked.sampling.seed else say("y" * 200)

    async with serving(script, step_s=0.002) as stage:
        stream = await stage.stream(n=2, seed=0)
        await until(lambda: stage.generator.idle)
    assert stream[-1]["error"]["code"] == "generation_failed"
    assert "[DONE]" not in stream
    assert content(stream[:-1], 1) == "xxx"
    assert len(stage.generator.cancelled) == 1, "the other choice is not generated further"


async def test_no_prompt_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with serving(lambda asked: say("the answer")) as stage:
        await stage.chat(messages=[{"role": "user", "content": "a private question"}])
        await stage.chat(400, messages=[{"role": "user", "content": "a private question"}], temperature="a private one")
    assert "private" not in caplog.text
    assert "the answer" not in caplog.text


async def test_many_streams_at_once_are_woken_together() -> None:
    async with serving(lambda asked: say("z" * 100), step_s=0.002) as stage:
        stage.generator.pause(True)
        streams = [asyncio.ensure_future(stage.stream()) for _ in range(16)]
        await until(lambda: len(stage.generator.asked) == 16)
        stage.generator.pause(False)
        assert [content(stream) for stream in await asyncio.gather(*streams)] == ["z" * 100] * 16
        assert stage.feed.wakes < 3 * stage.generator.steps, "not one for every token"


def test_events_are_read_as_a_client_does() -> None:
    assert events('data: {"a": 1}\n\ndata: [DONE]\n\n') == [{"a": 1}, "[DONE]"]
