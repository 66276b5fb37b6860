"""Tool calls in the Hermes form: read however the text is cut, told as OpenAI tells them, required by grammar."""

import json
from typing import Any

import pytest

from slipway.engines.transformers_server.hermes import Argued, Called, CallReader, Event, Said
from tests.engines.transformers_server.fakes import say, without_end
from tests.engines.transformers_server.stage import content, finish, serving, until

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
ONE = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Pa}ris \\"{"}}\n</tool_call>'
TWO = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
CITY = '{"city": "Pa}ris \\"{"}'


def told(events: list[Event]) -> tuple[str, list[tuple[str, str]]]:
    """The text, and each call's name with its arguments."""
    calls: list[tuple[str, str]] = []
    text = ""
    for event in events:
        if isinstance(event, Said):
            text += event.text
        elif isinstance(event, Called):
            assert event.number == len(calls)
            calls.append((event.name, ""))
        elif isinstance(event, Argued):
            name, arguments = calls[event.number]
            calls[event.number] = (name, arguments + event.text)
    return text, calls


READ: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("Just <text> and <tool> & so on <tool_cal", "Just <text> and <tool> & so on <tool_cal", []),
    (ONE, "", [("get_weather", CITY)]),
    (f"{ONE}\n{TWO}", "", [("get_weather", CITY), ("clock", "{}")]),
    (f"Let me see.\n\n{ONE}\n", "Let me see.", [("get_weather", CITY)]),
    ('<tool_call>{"arguments": {"a": [1, 2]}, "name": "f"}</tool_call>', "", [("f", '{"a": [1, 2]}')]),
    ('<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', "", [("f", '{"a": 1}')]),
    ('<tool_call>{"name": "f"}</tool_call>', "", [("f", "{}")]),
    ('<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>', "", [("f", '{"a": 1}')]),
    ("<tool_call>not JSON</tool_call> after", "<tool_call>not JSON</tool_call> after", []),
    ('<tool_call>{"name": 5}</tool_call>', '<tool_call>{"name": 5}</tool_call>', []),
    ('<tool_call>{"name": "f", "arguments": {"a": "unfin', "", [("f", '{"a": "unfin')]),
    ('<tool_call>{"name": "f", "arguments": {"a": 1}}', "", [("f", '{"a": 1}')]),
    ("<tool_call>{", "<tool_call>{", []),
    ('<tool_call>{"name": "天气", "arguments": {"城": "北京"}}</tool_call>', "", [("天气", '{"城": "北京"}')]),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("text", "said", "calls"), READ, ids=range(len(READ)))
def test_a_text_is_read_the_same_however_it_is_cut(
    text: str, said: str, calls: list[tuple[str, str]], size: int
) -> None:
    reader = CallReader()
    events = [event for at in range(0, len(text), size) for event in reader.feed(text[at : at + size])]
    assert told(events + reader.end()) == (said, calls)


def test_arguments_come_as_they_are_written() -> None:
    reader = CallReader()
    assert reader.feed('<tool_call>{"name": "f", "arguments": ') == []
    assert reader.feed('{"a') == [Called(0, "f"), Argued(0, '{"a')]
    assert reader.feed('": 1') == [Argued(0, '": 1')]


def calls_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    assert all(call["type"] == "function" and call["id"].startswith("call_") for call in message["tool_calls"])
    assert len({call["id"] for call in message["tool_calls"]}) == len(message["tool_calls"])
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]


async def test_calls_are_told_whole_and_streamed() -> None:
    async with serving(lambda asked: say(f"One moment. {ONE}\n{TWO}")) as stage:
        answer = await stage.chat(tools=[WEATHER, CLOCK])
        stream = await stage.stream(tools=[WEATHER, CLOCK])
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "One moment."
    assert calls_of(choice["message"]) == [("get_weather", CITY), ("clock", "{}")]
    assert (content(stream), finish(stream)) == ("One moment.", ["tool_calls"])
    pieces = [
        call for event in stream[:-1] for part in event["choices"] for call in part["delta"].get("tool_calls") or []
    ]
    first = pieces[0]
    assert (first["index"], first["type"], first["function"]) == (
        0,
        "function",
        {"name": "get_weather", "arguments": ""},
    )
    assert [piece["index"] for piece in pieces if "id" in piece] == [0, 1]
    arguments = ["".join(p["function"]["arguments"] for p in pieces if p["index"] == place) for place in (0, 1)]
    assert arguments == [CITY, "{}"]
    assert sum(piece["index"] == 0 for piece in pieces) > 10, "arguments are streamed"


async def test_without_calls_the_text_is_the_answer() -> None:
    async with serving(lambda asked: say("No tool is needed.")) as stage:
        answer = await stage.chat(tools=[WEATHER])
    message = {"role": "assistant", "content": "No tool is needed.", "refusal": None}
    assert answer["choices"][0]["message"] == message
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert b"get_weather" in bytes(token for token in stage.generator.asked[0].prompt if token < 256)


async def test_a_call_that_is_cut_by_the_limit_is_told_as_far_as_it_came() -> None:
    async with serving(lambda asked: say(ONE)) as stage:
        answer = await stage.chat(tools=[WEATHER], max_tokens=len(ONE) - 20)
    assert answer["choices"][0]["finish_reason"] == "length"
    ((name, arguments),) = calls_of(answer["choices"][0]["message"])
    assert name == "get_weather"
    assert CITY.startswith(arguments)


async def test_one_call_is_enough_where_calls_are_not_parallel() -> None:
    async with serving(lambda asked: without_end(say(f"{ONE}\n")), step_s=0.0005) as stage:
        answer = await stage.chat(tools=[WEATHER], parallel_tool_calls=False)
        stream = await stage.stream(tools=[WEATHER], parallel_tool_calls=False)
        await until(lambda: stage.generator.idle)
    assert calls_of(answer["choices"][0]["message"]) == [("get_weather", CITY)]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert finish(stream) == ["tool_calls"]
    assert len(stage.generator.cancelled) == 2


async def test_none_is_plain_text_and_shows_the_model_no_tools() -> None:
    async with serving(lambda asked: say(ONE)) as stage:
        answer = await stage.chat(tools=[WEATHER], tool_choice="none")
    assert answer["choices"][0]["message"]["content"] == ONE
    assert b"get_weather" not in bytes(token for token in stage.generator.asked[0].prompt if token < 256)


async def test_required_and_named_calls_are_constrained() -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    async with serving(lambda asked: say(TWO)) as stage:
        await stage.chat(tools=[WEATHER, CLOCK], tool_choice="required")
        answer = await stage.chat(tools=[WEATHER, CLOCK], tool_choice=named)
        await stage.chat(tools=[WEATHER, CLOCK])
    required, only, free = (asked.sampling.grammar for asked in stage.generator.asked)
    assert required is not None
    assert "get_weather" in required
    assert "clock" in required
    assert 'calls: call ("\\n" call)*' in required
    assert only is not None
    assert "get_weather" not in only
    assert "calls: call\n" in only
    assert free is None
    assert calls_of(answer["choices"][0]["message"]) == [("clock", "{}")]


async def test_a_strict_tool_is_constrained_where_it_is_called() -> None:
    strict = json.loads(json.dumps(WEATHER))
    strict["function"]["strict"] = True
    async with serving(lambda asked: say("Hi")) as stage:
        await stage.chat(tools=[strict])
        await stage.chat(tools=[WEATHER], response_format={"type": "json_object"})
    first, second = (asked.sampling.grammar or "" for asked in stage.generator.asked)
    assert "start: called* TEXT" in first
    assert "start: calls | answer" in second


async def test_a_model_without_a_parser_calls_only_when_it_must() -> None:
    async with serving(lambda asked: say(TWO), tool_parser=None) as stage:
        refused = await stage.chat(400, tools=[CLOCK])
        answer = await stage.chat(tools=[CLOCK], tool_choice="required")

    assert "not taught to call tools" in refused["error"]["message"]
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


async def test_earlier_calls_reach_the_template_as_objects() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "首都"}'}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "What "}, {"type": "text", "text": "time?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12:00"},
    ]
    async with serving(lambda asked: say("Noon.")) as stage:
        await stage.chat(messages=messages, tools=[CLOCK])
    prompt = bytes(token for token in stage.generator.asked[0].prompt if token < 256).decode()
    assert "user:What time?" in prompt
    assert '{"name": "clock", "arguments": {"zone": "首都"}}' in prompt
    assert "tool:12:00" in prompt
