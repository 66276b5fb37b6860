"""Requests that make no sense get 400 in words, and never reach the generator."""

import json
from typing import Any

import pytest

from slipway.errors import BadRequest
from tests.engines.transformers_server.fakes import NoGenerator, say
from tests.engines.transformers_server.stage import HELLO, service, serving

IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]
TOOL = {"type": "function", "function": {"name": "f"}}

BOTH: list[tuple[dict[str, Any], str | None]] = [
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "1"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": 1.01}, "top_p"),
    ({"top_k": -2}, "top_k"),
    ({"top_k": 1.5}, "top_k"),
    ({"min_p": 2}, "min_p"),
    ({"presence_penalty": 2.5}, "presence_penalty"),
    ({"frequency_penalty": -3}, "frequency_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"n": "2"}, "n"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"seed": "x"}, "seed"),
    ({"seed": 2**70}, "seed"),
    ({"stop": 5}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"stop": ["a"] * 65}, "stop"),
    ({"stop": {}}, "stop"),
    ({"stop_token_ids": [-1]}, "stop_token_ids"),
    ({"logit_bias": [1]}, "logit_bias"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {"99999": 1}}, "logit_bias"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5"),
    ({"logit_bias": {"5": "1"}}, "logit_bias.5"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"ignore_eos": 1}, "ignore_eos"),
    ({"min_tokens": 3}, "min_tokens"),
    ({"use_beam_search": True}, "use_beam_search"),
    ({"prompt_logprobs": 1}, "prompt_logprobs"),
    ({"model": None}, "model"),
    ({"model": 5}, "model"),
]
CHAT: list[tuple[dict[str, Any], str | None]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": ["Hello"]}, "messages[0]"),
    ({"messages": [{"content": "Hello"}]}, "messages[0].role"),
    ({"messages": [{"role": "robot", "content": "Hello"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0]"),
    ({"messages": IMAGE}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, None),
    ({"messages": [{"role": "user", "content": "refuse me"}]}, "messages"),
    ({"logprobs": 5}, "logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ({"tools": {}}, "tools"),
    ({"tools": [5]}, "tools[0]"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [TOOL, TOOL]}, "tools"),
    ({"tools": [TOOL], "tool_choice": "must"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [TOOL], "guided_regex": "a"}, "guided_regex"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"audio": {"voice": "a"}}, "audio"),
    ({"chat_template": "x"}, "chat_template"),
    ({"chat_template_kwargs": 5}, "chat_template_kwargs"),
    ({"continue_final_message": True}, "continue_final_message"),
]
COMPLETIONS: list[tuple[dict[str, Any], str | None]] = [
    ({"prompt": None}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": {}}, "prompt"),
    ({"prompt": ""}, None),
    ({"prompt": [""]}, None),
    ({"prompt": [[]]}, None),
    ({"prompt": [1, "a"]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": [99999]}, "prompt"),
    ({"prompt": [True]}, "prompt"),
    ({"prompt": ["a"] * 100, "n": 2}, "prompt"),
    ({"logprobs": 21}, "logprobs"),
    ({"logprobs": True}, "logprobs"),
    ({"echo": True, "logprobs": 1}, "echo"),
    ({"suffix": "end"}, "suffix"),
    ({"best_of": 2, "n": 3}, "best_of"),
    ({"best_of": 3, "stream": True}, "best_of"),
]

SERVICE = service(NoGenerator())


@pytest.mark.parametrize(("fields", "param"), BOTH + CHAT, ids=lambda value: json.dumps(value)[:60])
def test_a_bad_chat_is_told_what_is_wrong(fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        SERVICE.chat(json.dumps({"model": "tiny", "messages": HELLO, **fields}).encode())
    assert (caught.value.http_status, caught.value.param) == (400, param)
    assert caught.value.message


@pytest.mark.parametrize(("fields", "param"), BOTH + COMPLETIONS, ids=lambda value: json.dumps(value)[:60])
def test_a_bad_completion_is_told_what_is_wrong(fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        SERVICE.completion(json.dumps({"model": "tiny", "prompt": "Hello", **fields}).encode())
    assert (caught.value.http_status, caught.value.param) == (400, param)


async def test_what_is_unknown_null_or_said_otherwise_is_taken() -> None:
    fields: dict[str, Any] = {
        "user": "me", "store": True, "metadata": {}, "service_tier": "auto", "something_new": [1], "temperature": None,
        "n": None, "stop": None, "logit_bias": None, "tools": [], "tool_choice": "none", "response_format": None,
        "stream_options": None, "functions": None, "min_tokens": 0, "max_tokens": 5.0, "top_k": -1, "top_p": 0,
    }  # fmt: skip
    async with serving(lambda asked: say("Hi")) as stage:
        await stage.chat(**fields)
    (asked,) = stage.generator.asked
    assert (asked.sampling.max_tokens, asked.sampling.top_k) == (5, 0)
    assert 0 < asked.sampling.top_p < 1e-6


async def test_an_error_is_openais_object() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        error = (await stage.complete(400, temperature=3))["error"]
        assert error == {
            "message": "temperature should be a number from 0 to 2, it is 3",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": "invalid_value",
        }
        assert stage.generator.asked == []


async def test_images_are_refused_in_words() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        error = (await stage.chat(400, messages=IMAGE))["error"]
    assert "this server version answers text only" in error["message"]


async def test_the_templates_own_words_are_told() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        error = (await stage.chat(400, messages=[{"role": "user", "content": "refuse me"}]))["error"]
    assert error["message"] == "the model's chat template does not take these messages: no such talk"


async def test_what_does_not_fit_is_told_with_the_numbers() -> None:
    async with serving(lambda asked: say("Hi"), context_length=100) as stage:
        prompt = (await stage.complete(400, prompt="x" * 100))["error"]
        both = (await stage.chat(400, messages=HELLO, max_tokens=95))["error"]
        several = (await stage.complete(400, prompt=["a", "b" * 95], max_tokens=10))["error"]
        await stage.complete(prompt="x" * 99, max_tokens=1)
    assert {prompt["code"], both["code"], several["code"]} == {"context_length_exceeded"}
    assert "100 tokens; the request has 12 tokens of prompt and 95 to generate" in both["message"]
    assert len(stage.generator.asked) == 1


async def test_a_number_without_end_is_out_of_range() -> None:
    body = b'{"model": "tiny", "prompt": "x", "temperature": 1e999}'
    async with (
        serving(lambda asked: say("Hi")) as stage,
        stage.client.post(stage.base + "/v1/completions", data=body) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["param"]) == (400, "temperature")


BODIES = [
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe",
    b'{"temperature": NaN}',
    b"[" * 100_000,
    b'{"n": ' + b"9" * 5000 + b"}",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_what_is_no_json_object_is_a_400(body: bytes) -> None:
    async with (
        serving(lambda asked: say("Hi")) as stage,
        stage.client.post(stage.base + "/v1/chat/completions", data=body) as answer,
    ):
        said = await answer.json()
    assert answer.status == 400
    assert said["error"]["code"] == "invalid_json"
