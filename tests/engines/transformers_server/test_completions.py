"""Text completions: prompts in four forms, echo, best_of, log probabilities with offsets, streams."""

from typing import Any

import pytest

from slipway.engines.transformers_server.words import Asked, Ending, Progress, Token
from tests.engines.transformers_server.fakes import OPENING, ByteTokenizer, say, say_tokens
from tests.engines.transformers_server.stage import serving


def echo_prompt(asked: Asked) -> list[Progress]:
    return say(f"<{bytes(asked.prompt).decode()}>")


async def test_a_completion_is_openais_object() -> None:
    async with serving(lambda asked: say(" world")) as stage:
        answer = await stage.complete(max_tokens=20)
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["choices"] == [{"index": 0, "text": " world", "logprobs": None, "finish_reason": "stop"}]
    assert answer["usage"]["prompt_tokens"] == 5
    assert answer["usage"]["completion_tokens"] == 7


async def test_sixteen_tokens_are_the_default() -> None:
    async with serving(lambda asked: say("x" * 40)) as stage:
        answer = await stage.complete()
        await stage.complete(prompt="y" * 990)
    assert answer["choices"][0]["text"] == "x" * 16
    assert answer["choices"][0]["finish_reason"] == "length"
    assert stage.generator.asked[1].sampling.max_tokens == 10, "a default is not more than there is room for"


FORMS: list[tuple[Any, list[str]]] = [
    ("one", ["<one>"]),
    (["one", "two"], ["<one>", "<two>"]),
    ([104, 105], ["<hi>"]),
    ([[104], [105, 106]], ["<h>", "<ij>"]),
]


@pytest.mark.parametrize(("prompt", "texts"), FORMS, ids=["text", "texts", "ids", "lists of ids"])
async def test_prompts_in_their_forms(prompt: Any, texts: list[str]) -> None:
    async with serving(echo_prompt) as stage:
        answer = await stage.complete(prompt=prompt, n=2)
        stream = await stage.stream("/v1/completions", prompt=prompt)
    assert [choice["text"] for choice in answer["choices"]] == [text for text in texts for _ in range(2)]
    assert [choice["index"] for choice in answer["choices"]] == list(range(2 * len(texts)))
    streamed = ["" for _ in texts]
    for event in stream[:-1]:
        for choice in event["choices"]:
            streamed[choice["index"]] += choice["text"]
    assert streamed == texts


async def test_an_echo_is_the_prompt_before_the_text() -> None:
    async with serving(lambda asked: say("!")) as stage:
        whole = await stage.complete(prompt=["Hello", "Bye"], echo=True)
        ids = await stage.complete(prompt=[72, 105, OPENING], echo=True)
        stream = await stage.stream("/v1/completions", echo=True)
        nothing = await stage.complete(echo=True, max_tokens=0)
    assert [choice["text"] for choice in whole["choices"]] == ["Hello!", "Bye!"]
    assert ids["choices"][0]["text"] == "Hi<|user|>!"
    assert "".join(choice["text"] for event in stream[:-1] for choice in event["choices"]) == "Hello!"
    assert (nothing["choices"][0]["text"], nothing["choices"][0]["finish_reason"]) == ("Hello", "length")
    assert nothing["usage"]["completion_tokens"] == 0
    assert len(stage.generator.asked) == 4, "for an echo alone nothing is generated"


async def test_log_probabilities_have_offsets() -> None:
    async with serving(lambda asked: say_tokens(65, 260, 261)) as stage:
        answer = await stage.complete(logprobs=2)
    logs = answer["choices"][0]["logprobs"]
    assert logs["tokens"] == ["A", "中文", " Paris"]
    assert logs["text_offset"] == [0, 1, 3]
    assert logs["token_logprobs"] == [-0.5, -0.5, -0.5]
    assert len(logs["top_logprobs"]) == 3
    assert stage.generator.asked[0].sampling.logprobs == 2


async def test_an_impossible_token_is_no_infinity() -> None:
    def script(asked: Asked) -> list[Progress]:
        return [Progress([Token(65, 0.0, ((66, float("-inf")),))], Ending.LENGTH)]

    async with serving(script) as stage:
        answer = await stage.complete(logprobs=1)
    assert answer["choices"][0]["logprobs"]["top_logprobs"] == [{"B": -9999.0}]


async def test_the_best_of_several_is_the_likeliest_by_token() -> None:
    def script(asked: Asked) -> list[Progress]:
        seed = asked.sampling.seed or 0
        return [Progress([Token(65 + seed, -1.0 / (1 + seed))]), Progress([Token(256, -0.1)], Ending.STOP)]

    async with serving(script) as stage:
        answer = await stage.complete(best_of=3, n=2, seed=0)
    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == [(0, "C"), (1, "B")]
    assert answer["usage"]["completion_tokens"] == 6, "all that was generated"
    assert all(asked.sampling.logprobs == 0 for asked in stage.generator.asked)


async def test_a_stream_ends_with_a_reason_and_usage() -> None:
    async with serving(lambda asked: say("Hi")) as stage:
        stream = await stage.stream("/v1/completions", stream_options={"include_usage": True})
    assert stream[-1] == "[DONE]"
    assert stream[-2]["usage"]["completion_tokens"] == 3
    assert [choice["finish_reason"] for event in stream[:-2] for choice in event["choices"]][-1] == "stop"
    assert {event["object"] for event in stream[:-1]} == {"text_completion"}


async def test_a_continuation_keeps_its_first_space_and_a_chat_does_not() -> None:
    async with serving(lambda asked: say_tokens(261), tokenizer=ByteTokenizer(drops_first_space=True)) as stage:
        assert (await stage.complete())["choices"][0]["text"] == " Paris"
        assert (await stage.chat())["choices"][0]["message"]["content"] == "Paris"
