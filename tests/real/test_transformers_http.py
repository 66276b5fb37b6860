"""The Transformers engine's own server on the pilot, asked through OpenAI's SDK."""

import concurrent.futures
import json
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.real.server import until
from tests.real.test_truth import is_right, rows
from tests.real.transformers_process import Engine, running_engine

pytestmark = pytest.mark.engine

LEAST = 0.95
CAPITAL: Any = [{"role": "user", "content": "What is the capital of France?"}]
MADRID: Any = [{"role": "user", "content": "What is the weather in Madrid?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Get the weather of a city.", "parameters": PARAMETERS},
}
PERSON: Any = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "profession": {"enum": ["teacher", "sailor"]},
        "is_student": {"type": "boolean"},
    },
    "required": ["name", "profession", "is_student"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("engine") / "log") as engine:
        yield engine


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[OpenAI]:
    with OpenAI(base_url=engine.base + "/v1", api_key=engine.secret, max_retries=0) as client:
        yield client


def chat(client: OpenAI, messages: Any = CAPITAL, **fields: Any) -> Any:
    given = {"temperature": 0, "max_tokens": 200, **fields}
    return client.chat.completions.create(model="pilot", messages=messages, **given)


def metric(engine: Engine, name: str) -> int:
    request = urllib.request.Request(engine.base + "/metrics", headers={"Authorization": f"Bearer {engine.secret}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return int(re.search(rf"^slipway_engine_{name} (\d+)$", text, re.MULTILINE)[1])  # type: ignore[index]


def test_the_truth_table(client: OpenAI) -> None:
    def right(row: dict[str, Any]) -> bool:
        fields: dict[str, Any] = {"tools": row["tools"]} if row.get("tools") else {}
        if "schema" in row:
            described = {"name": "answer", "schema": row["schema"]}
            fields["response_format"] = {"type": "json_schema", "json_schema": described}
        message = chat(client, row["messages"], **fields).choices[0].message
        return is_right(row, message.model_dump(exclude_none=True))

    table = rows()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        marks = list(pool.map(right, table))
    total = Counter(f"{row['task']} {row['language']}" for row in table)
    wrong = Counter(f"{row['task']} {row['language']}" for row, mark in zip(table, marks, strict=True) if not mark)
    print(f"\nTransformers, pilot bfloat16: {sum(marks)} of {len(marks)} right")
    for cell, count in sorted(total.items()):
        print(f"  {cell}: {count - wrong[cell]} of {count}")
    assert sum(marks) >= LEAST * len(marks)


def test_a_stream_says_the_same_and_counts_the_same(client: OpenAI) -> None:
    whole = chat(client)
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == (
        whole.choices[0].message.content
    )
    assert "Paris" in whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0, "the second time, the prompt was there"


def test_chinese_is_streamed_in_whole_characters(client: OpenAI) -> None:
    question: Any = [{"role": "user", "content": "日本的首都是哪里？"}]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chat(client, question, stream=True)]
    assert "东京" in "".join(pieces)
    assert "\ufffd" not in "".join(pieces)


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_tool_is_called_whole_and_streamed(client: OpenAI, choice: Any) -> None:
    answer = chat(client, MADRID, tools=[WEATHER], tool_choice=choice).choices[0]
    (call,) = answer.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Madrid"})
    assert answer.finish_reason == "tool_calls"
    chunks = list(chat(client, MADRID, tools=[WEATHER], tool_choice=choice, stream=True))
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert [piece.function.name for piece in pieces if piece.function.name] == ["get_weather"]
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)) == {"city": "Madrid"}


def test_a_required_call_cannot_fail_where_the_model_would_not_call(client: OpenAI) -> None:
    for seed in range(8):
        answer = chat(client, tools=[WEATHER], tool_choice="required", temperature=2, seed=seed, max_tokens=1500)
        for call in answer.choices[0].message.tool_calls:
            assert call.function.name == "get_weather"
            if answer.choices[0].finish_reason == "tool_calls":
                assert isinstance(json.loads(call.function.arguments)["city"], str)


@pytest.mark.parametrize("strict", [True, False])
def test_json_schemas_hold_at_any_temperature(client: OpenAI, strict: bool) -> None:
    described = {"name": "person", "strict": strict, "schema": PERSON}
    form = {"type": "json_schema", "json_schema": described}
    answer = chat(client, response_format=form, n=4, temperature=1.5, seed=5, max_tokens=1500)
    for choice in answer.choices:
        if choice.finish_reason == "stop":
            person = json.loads(choice.message.content)
            assert set(person) == {"name", "profession", "is_student"}
            assert person["profession"] in {"teacher", "sailor"}
    assert any(choice.finish_reason == "stop" for choice in answer.choices)


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"structured_outputs": {"regex": "[a-c]{3}/[0-9]+"}}, r"[a-c]{3}/[0-9]+"),
        ({"guided_choice": ["北京", 'it\'s "Rome"']}, r"北京|it's \"Rome\""),
        ({"structured_outputs": {"grammar": 'root ::= "yes" | "no"'}}, r"yes|no"),
        ({"guided_json": {"type": "integer"}}, r"-?\d+"),
    ],
)
def test_other_constraints_hold(client: OpenAI, fields: Any, pattern: str) -> None:
    answer = chat(client, extra_body=fields, temperature=1, seed=1, max_tokens=100)
    text = answer.choices[0].message.content
    assert re.fullmatch(pattern, text) or answer.choices[0].finish_reason == "length", text


def test_a_schema_that_cannot_be_followed_is_told(client: OpenAI) -> None:
    described = {"name": "n", "strict": True, "schema": {"type": "object", "not": {"type": "string"}}}
    with pytest.raises(BadRequestError, match="Unimplemented keys"):
        chat(client, response_format={"type": "json_schema", "json_schema": described})


def test_stops_seeds_and_log_probabilities(client: OpenAI) -> None:
    stopped = chat(client, stop=["nothing of it", "ri"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("Pa", "stop"), "within a token, or over two"
    drawn = [chat(client, temperature=1.5, seed=9, n=2).choices for _ in range(2)]
    assert [choice.message.content for choice in drawn[0]] == [choice.message.content for choice in drawn[1]]
    logs = chat(client, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    assert all(len(log.top_logprobs) == 3 and log.logprob <= 0 for log in logs)
    assert all(log.logprob == max(top.logprob for top in log.top_logprobs) for log in logs), "greedy"


def test_completions_continue_a_prompt(client: OpenAI) -> None:
    prompt = "<|im_start|>user\nWhat is the capital of Japan?<|im_end|>\n<|im_start|>assistant\n"
    answer = client.completions.create(model="pilot", prompt=[prompt, prompt], temperature=0, max_tokens=30, echo=True)
    assert [choice.text.startswith(prompt) and "Tokyo" in choice.text for choice in answer.choices] == [True, True]


def test_what_does_not_fit_is_told(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="context holds 2048 tokens") as caught:
        chat(client, [{"role": "user", "content": "word " * 3000}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(BadRequestError, match="2048"):
        chat(client, max_tokens=2048)


def test_a_client_that_leaves_frees_its_place(engine: Engine, client: OpenAI) -> None:
    stream = chat(client, stream=True, max_tokens=2000, extra_body={"ignore_eos": True}, n=16)
    next(iter(stream))
    stream.close()
    until(lambda: metric(engine, "requests_in_progress") == 0, "the request is over")
    assert metric(engine, "generated_tokens_total") < metric(engine, "requests_total") * 2000
    assert "Paris" in chat(client).choices[0].message.content


def test_it_ends_with_its_launcher_and_on_sigterm(tmp_path: Path) -> None:
    with running_engine(tmp_path / "first") as first:
        assert first.process.stdin is not None
        first.process.stdin.close()
        assert first.process.wait(10) == 0
    with running_engine(tmp_path / "second") as second:
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(10) == -signal.SIGTERM
        assert "Traceback" not in second.log.read_text()
