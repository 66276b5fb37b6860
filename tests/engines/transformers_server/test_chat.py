"""Chat completions, whole and streamed, on a generator that says what the test wrote."""

import json
from typing import Any

from slipway.engines.transformers_server.words import Asked, Ending, Progress
from tests.engines.transformers_server.fakes import say, say_tokens
from tests.engines.transformers_server.stage import content, finish, serving

TEXT = "Paris 是法国的首都 🚄."


async def test_an_answer_is_openais_object() -> None:
    async with serving(lambda asked: say(TEXT, cached=7)) as stage:
        answer = await stage.chat()
    prompt = len(b"\0user:Hello\0")  # two special tokens and the text
    tokens = len(TEXT.encode()) + 1
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "tiny"
    assert answer["id"].startswith("chatcmpl-")
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    assert answer["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
        "prompt_tokens_details": {"cached_tokens": 7},
    }


async def test_a_stream_has_a_role_pieces_a_finish_and_done() -> None:
    async with serving(lambda asked: say(TEXT)) as stage:
        stream = await stage.stream()
    assert stream[-1] == "[DONE]"
    assert stream[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert content(stream) == TEXT
    assert finish(stream) == ["stop"]
    assert stream[-2]["choices"][0]["delta"] == {}
    assert len({event["id"] for event in stream[:-1]}) == 1
    assert {event["object"] for event in stream[:-1]} == {"chat.completion.chunk"}
    assert not any("usage" in event for event in stream[:-1])
    assert "\ufffd" not in json.dumps(stream, ensure_ascii=False), "no half of a character was shown"


async def test_usage_comes_in_a_chunk_of_its_own_when_asked_for() -> None:
    async with serving(lambda asked: say("Hi", cached=3)) as stage:
        stream = await stage.stream(stream_options={"include_usage": True})
        whole = await stage.chat()
    assert stream[-2]["choices"] == []
    assert stream[-2]["usage"] == whole["usage"]
    assert all(event["usage"] is None for event in stream[:-2])


async def test_n_choices_have_seeds_of_their_own() -> None:
    def script(asked: Asked) -> list[Progress]:
        return say(f"seed {asked.sampling.seed}")

    async with serving(script) as stage:
        answer = await stage.chat(n=3, seed=41, temperature=0)
        stream = await stage.stream(n=3, seed=41)
    texts = ["seed 41", "seed 42", "seed 43"]
    assert [choice["message"]["content"] for choice in answer["choices"]] == texts
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert [content(stream, index) for index in range(3)] == texts
    assert [finish(stream, index) for index in range(3)] == [["stop"]] * 3
    assert stream.count("[DONE]") == 1


async def test_the_end_of_the_tokens_is_length_and_half_a_character_is_left_out() -> None:
    async with serving(lambda asked: say("中文")) as stage:
        answer = await stage.chat(max_tokens=5)
        stream = await stage.stream(max_completion_tokens=5)
    assert answer["choices"][0]["message"]["content"] == "中"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    assert (content(stream), finish(stream)) == ("中", ["length"])


async def test_special_tokens_are_shown_only_when_asked_for() -> None:
    async with serving(lambda asked: say_tokens(72, 257, 105)) as stage:
        hidden, shown = await stage.chat(), await stage.chat(skip_special_tokens=False)
    assert hidden["choices"][0]["message"]["content"] == "Hi"
    assert shown["choices"][0]["message"]["content"] == "H<|pad|>i"


async def test_log_probabilities_go_with_the_text_they_are_of() -> None:
    async with serving(lambda asked: say("中!")) as stage:
        answer = await stage.chat(logprobs=True, top_logprobs=2)
        stream = await stage.stream(logprobs=True, top_logprobs=2)
        plain = await stage.chat(logprobs=True)
    logs = answer["choices"][0]["logprobs"]
    assert [entry["bytes"] for entry in logs["content"]] == [[0xE4], [0xB8], [0xAD], [33]], "not the end token"
    assert logs["content"][3] == {
        "token": "!",
        "logprob": -0.5,
        "bytes": [33],
        "top_logprobs": [
            {"token": "!", "logprob": -0.5, "bytes": [33]},
            {"token": "!", "logprob": -2.0, "bytes": [33]},
        ],
    }
    streamed = [
        entry
        for event in stream[:-1]
        for choice in event["choices"]
        for entry in (choice["logprobs"] or {"content": []})["content"]
    ]
    assert streamed == logs["content"]
    assert stage.generator.asked[0].sampling.logprobs == 2
    assert stage.generator.asked[2].sampling.logprobs == 0
    assert plain["choices"][0]["logprobs"] is not None


async def test_every_wish_reaches_the_generator() -> None:
    wishes: dict[str, Any] = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "presence_penalty": 1, "frequency_penalty": -1,
        "repetition_penalty": 1.1, "seed": 7, "ignore_eos": True, "max_tokens": 9,
    }  # fmt: skip
    async with serving(lambda asked: say("Hi")) as stage:
        await stage.chat(**wishes, logit_bias={"33": -100, "7": 2.5}, stop_token_ids=[65])
        await stage.chat()
    sampling = stage.generator.asked[0].sampling
    assert {name: getattr(sampling, name) for name in wishes} == wishes
    assert dict(sampling.logit_bias) == {33: -100, 7: 2.5}
    assert sampling.stop_ids == (65,)
    assert sampling.grammar is None
    rest = stage.generator.asked[1]
    assert rest.sampling.max_tokens == 1000 - len(rest.prompt), "the rest of the context"


async def test_a_stop_token_is_not_shown() -> None:
    def script(asked: Asked) -> list[Progress]:
        return [*say("Hi")[:2], Progress(say("X")[0].tokens, Ending.STOP)]

    async with serving(script) as stage:
        answer = await stage.chat(stop_token_ids=[ord("X")])
    assert answer["choices"][0]["message"]["content"] == "Hi"
    assert answer["usage"]["completion_tokens"] == 3
