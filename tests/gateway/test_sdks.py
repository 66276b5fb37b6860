"""The clients people have: OpenAI's SDK, streamed and not, against a fake engine."""

from collections.abc import AsyncIterator

import openai
import pytest

from tests.gateway.stage import Gateway

HELLO: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


async def test_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="tiny", messages=HELLO)
    assert answer.choices[0].message.content == "Hello there."
    assert answer.usage is not None and answer.usage.total_tokens == 12


async def test_chat_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="tiny", messages=HELLO, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["word0 ", "word1 ", "word2 "]


async def test_completions(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="tiny", prompt="Say hello.")
    assert answer.choices[0].text == "Hello there."
    stream = await client.completions.create(model="tiny", prompt="Say hello.", stream=True)
    assert [chunk.choices[0].text async for chunk in stream] == ["word0 ", "word1 ", "word2 "]


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["tiny"]
    assert (await client.models.retrieve("tiny")).owned_by == "slipway"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("none")


async def test_errors(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="tinny", messages=HELLO)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    lie = {"answer": {"status": 400, "type": "application/json", "body": '{"error": {"message": "too hot"}}'}}
    with pytest.raises(openai.BadRequestError, match="too hot"):
        await client.chat.completions.create(model="tiny", messages=HELLO, extra_body={"fake": lie})


async def test_broken_stream_raises(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="tiny", messages=HELLO, stream=True, extra_body={"fake": {"half_event": True}}
    )
    got = []
    with pytest.raises(openai.APIError, match="stopped in the middle"):
        async for chunk in stream:
            got.append(chunk.choices[0].delta.content)
    assert got == ["word0 ", "word1 ", "word2 "]
