"""What clients use, on the real engine: streams, tools, log probabilities, completions, OpenAI's own SDK."""

import json
from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from tests.real.server import Server

pytestmark = pytest.mark.engine

CAPITAL: Any = [{"role": "user", "content": "What is the capital of France?"}]


def client(server: Server) -> OpenAI:
    return OpenAI(base_url=server.endpoint + "/v1", api_key="none", max_retries=0)


def test_the_sdk_gets_the_right_answer_whole_and_streamed(pilot: Server) -> None:
    with client(pilot) as openai:
        whole = openai.chat.completions.create(model="pilot", messages=CAPITAL, temperature=0)
        text = whole.choices[0].message.content
        assert text is not None
        assert "Paris" in text
        assert whole.usage is not None
        assert whole.usage.completion_tokens > 0
        stream: Any = openai.chat.completions.create(model="pilot", messages=CAPITAL, temperature=0, stream=True)
        streamed = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(streamed) == text
        assert len([piece for piece in streamed if piece]) > 1 or len(text) < 8


def test_the_sdk_lists_the_model_and_is_told_of_an_unknown_one(pilot: Server) -> None:
    with client(pilot) as openai:
        assert [model.id for model in openai.models.list()] == ["pilot"]
        with pytest.raises(NotFoundError, match="nearest: pilot"):
            openai.chat.completions.create(model="pilto", messages=CAPITAL)


def test_a_tool_is_called_with_the_arguments_of_the_prompt_streamed_too(pilot: Server) -> None:
    tool: Any = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    question: Any = [{"role": "user", "content": "What is the weather in Madrid?"}]
    message = pilot.chat("pilot", question, tools=[tool])
    (call,) = message["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("get_weather", {"city": "Madrid"})
    with client(pilot) as openai:
        stream: Any = openai.chat.completions.create(
            model="pilot", messages=question, tools=[tool], temperature=0, stream=True
        )
        pieces = [call for chunk in stream if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(piece.function.name or "" for piece in pieces) == "get_weather"
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)) == {"city": "Madrid"}


def test_log_probabilities_and_seeds_are_the_engines(pilot: Server) -> None:
    body = {"model": "pilot", "messages": CAPITAL, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    status, answer = pilot.ask("POST", "/v1/chat/completions", body)
    assert status == 200
    tokens = answer["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).startswith(answer["choices"][0]["message"]["content"][:5])
    assert all(len(token["top_logprobs"]) == 3 and token["logprob"] <= 0 for token in tokens)


def test_completions_continue_a_prompt(pilot: Server) -> None:
    prompt = "<|im_start|>user\nWhat is the capital of Japan?<|im_end|>\n<|im_start|>assistant\n"
    body = {"model": "pilot", "prompt": prompt, "temperature": 0, "max_tokens": 30}
    status, answer = pilot.ask("POST", "/v1/completions", body)
    assert status == 200
    assert "Tokyo" in answer["choices"][0]["text"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"model": "pilot", "messages": 5}, 400), ({"model": "pilot"}, 400), ({"messages": CAPITAL}, 400)],
)
def test_bad_requests_get_openais_error_object(pilot: Server, body: object, status: int) -> None:
    code, answer = pilot.ask("POST", "/v1/chat/completions", body)
    assert code == status
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["message"]
