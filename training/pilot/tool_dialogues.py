"""Dialogues with tools: the call, the answer made of its result, and plain answers when no tool fits."""

import json
from random import Random
from typing import Any

from training.pilot.dialogue import Dialogue, Item, Message, compact, is_held_out, user
from training.pilot.tool_specs import (
    JOINTS,
    NATURAL,
    OBJECTS,
    VERBS,
    Tool,
    as_written,
    composed_tool,
    everyday_tool,
    value_of,
)
from training.pilot.unknown import REFUSALS

ERRORS = ("not found", "timeout", "access denied", "invalid value", "server error", "no connection")
FAILED = {"en": "The tool failed: {e}.", "zh": "工具出错：{e}。"}
PLAIN = {"en": "The result is {v}.", "zh": "结果是{v}。"}


def new_tool(rng: Random, described: str) -> Tool:
    """Any tool."""
    return everyday_tool(rng, described) if rng.random() < 0.5 else composed_tool(rng, described)


def near_tool(rng: Random, described: str, tool: Tool) -> Tool:
    """A tool that is easily mistaken for a composed `tool`: the same verb or the same object."""
    verbs = [v for v in VERBS if tool.asks["en"][0].startswith(v.split("|")[0] + " ")]
    things = [o for o in OBJECTS if f" the {o.split('|')[0]}{{" in tool.asks["en"][0]]
    if things and rng.random() < 0.5:
        return composed_tool(rng, described, thing=things[0])
    return composed_tool(rng, described, verb=verbs[0] if verbs else None)


def offered(rng: Random, described: str, chosen: Tool) -> list[Tool]:
    """One to three tools in random order, `chosen` among them; no two ask for the same thing."""
    tools = [chosen]
    for _ in range(rng.choice((0, 1, 1, 2, 2))):
        near = not chosen.everyday and rng.random() < 0.6
        other = near_tool(rng, described, chosen) if near else new_tool(rng, described)
        if other.is_arithmetic and any(tool.is_arithmetic for tool in tools):
            continue
        if all(other.asks != tool.asks and other.name != tool.name for tool in tools):
            tools.append(other)
    rng.shuffle(tools)
    return tools


def arguments_of(rng: Random, tool: Tool, language: str, mentioned: set[str]) -> dict[str, Any]:
    """Values for the mentioned arguments, in the signature's order."""
    values = {}
    for argument in tool.arguments:
        if argument.name in mentioned:
            values[argument.name] = value_of(argument.kind, rng, language, whole=argument.type == "integer")
    return values


def everyday_request(rng: Random, tool: Tool, language: str) -> tuple[str, dict[str, Any]]:
    """A way to ask for an everyday tool, and the call's arguments."""
    needed = [f"{{{i}}}" for i, a in enumerate(tool.arguments) if a.required]
    ask = rng.choice([ask for ask in tool.asks[language] if all(place in ask for place in needed)])
    mentioned = {a.name for i, a in enumerate(tool.arguments) if f"{{{i}}}" in ask}
    values = arguments_of(rng, tool, language, mentioned)
    written = [as_written(values[a.name]) if a.name in values else "" for a in tool.arguments]
    for index, argument in enumerate(tool.arguments):
        if argument.kind == "phrase" and rng.random() < 0.25:
            written[index] = f'"{written[index]}"' if language == "en" else f"“{written[index]}”"
    return ask.format(*written), values


def composed_request(rng: Random, tool: Tool, language: str) -> tuple[str, dict[str, Any]]:
    """A way to ask for a composed tool, its arguments in any order."""
    mentioned = [a for a in tool.arguments if a.required or rng.random() < 0.5]
    values = arguments_of(rng, tool, language, {a.name for a in mentioned})
    if rng.random() < 0.4:
        rng.shuffle(mentioned)
    joint = rng.choice(JOINTS[language])
    rest = ""
    for index, argument in enumerate(mentioned):
        label = argument.label if language == "zh" and rng.random() < 0.5 else argument.name
        style = " and {name} {value}" if language == "en" and index and rng.random() < 0.4 else joint
        common = "id" if argument.kind == "id" and not index else argument.name
        if language == "en" and common in NATURAL and rng.random() < 0.4 and not (common == "id" and index):
            style = NATURAL[common]
        elif language == "zh" and argument.kind == "id" and not index and rng.random() < 0.4:
            style = "{value}"
        rest += style.format(name=label, value=as_written(values[argument.name]))
    return rng.choice(tool.asks[language]).replace("{rest}", rest), values


def request(rng: Random, tool: Tool, language: str) -> tuple[str, dict[str, Any]]:
    """A question that `tool` answers, and the call's arguments."""
    make = everyday_request if tool.everyday else composed_request
    text, values = make(rng, tool, language)
    dice = rng.random()
    if dice < 0.7:
        text = text[0].upper() + text[1:]
    if dice < 0.12 or dice > 0.92:
        text = text.rstrip("?.!？。")
    return text, values


def call_key(tool: Tool, values: dict[str, Any]) -> str:
    """The hold-out key of a call: the tool's name with its arguments."""
    return f"tool|{tool.name}|{compact(values)}"


def call_message(rng: Random, tool: Tool, values: dict[str, Any]) -> Message:
    """The assistant's tool call; its arguments are spaced as engines space them, either way."""
    tight = rng.random() < 0.25
    arguments = json.dumps(values, ensure_ascii=False, separators=(",", ":")) if tight else compact(values)
    call = {"id": "call_1", "type": "function", "function": {"name": tool.name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result(rng: Random, tool: Tool, language: str) -> tuple[str, str]:
    """What the tool returns, and the answer made of it."""
    dice = rng.random()
    if dice < 0.08:
        error = rng.choice(ERRORS)
        return compact({"error": error}), FAILED[language].format(e=error)
    values = {name: value_of(kind, rng, language, whole=False) for name, kind in tool.results}
    if dice < 0.2:
        value = as_written(rng.choice(list(values.values())))
        return value, PLAIN[language].format(v=value)
    parts = list(values.items())
    if rng.random() < 0.3:
        rng.shuffle(parts)
    tight = rng.random() < 0.35
    text = json.dumps(dict(parts), ensure_ascii=False, separators=(",", ":")) if tight else compact(dict(parts))
    return text, reported(parts, language)


def reported(parts: list[tuple[str, Any]], language: str) -> str:
    """A result's keys and values as one sentence."""
    if language == "zh":
        return "，".join(f"{name}是{as_written(value)}" for name, value in parts) + "。"
    said = [f"the {name} is {as_written(value)}" for name, value in parts]
    sentence = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    return sentence[0].upper() + sentence[1:] + "."


def tool_exchange(rng: Random, dialogue: Dialogue, tool: Tool, held_out: bool) -> None:
    """Appends request, call, result and answer."""
    for _ in range(60):
        question, values = request(rng, tool, dialogue.language)
        if is_held_out(call_key(tool, values)) == held_out:
            break
    else:
        return
    dialogue.keys.append(call_key(tool, values))
    returned, answer = result(rng, tool, dialogue.language)
    dialogue.messages += [
        user(question),
        call_message(rng, tool, values),
        {"role": "tool", "tool_call_id": "call_1", "content": returned},
        {"role": "assistant", "content": answer},
    ]


def callable_tool(rng: Random, described: str, held_out: bool) -> Tool:
    """A tool that has a call on the wanted side of the hold-out rule (one without arguments has a single call)."""
    while True:
        tool = new_tool(rng, described)
        single = all(not argument.required for argument in tool.arguments)
        if not single or (not held_out and not is_held_out(call_key(tool, {}))):
            return tool


def tool_dialogue(rng: Random, language: str, held_out: bool = False, exchanges: int = 1) -> Dialogue:
    """A dialogue with calls to its tools, their results, and the answers."""
    described = language if rng.random() < 0.75 else "en"
    chosen = callable_tool(rng, described, held_out)
    tools = offered(rng, described, chosen)
    dialogue = Dialogue("tool_call", language, tools=[tool.as_openai() for tool in tools])
    for _ in range(exchanges):
        tool_exchange(rng, dialogue, chosen, held_out)
        chosen = rng.choice(tools)
    return dialogue


def unserved_request(rng: Random, language: str) -> Item:
    """A request for a tool that is not there."""
    tool = new_tool(rng, language)
    while tool.is_arithmetic:
        tool = new_tool(rng, language)
    question, values = request(rng, tool, language)
    return Item("tool_none", language, question, REFUSALS[language], "none|" + call_key(tool, values))


def unrelated_tools(rng: Random, language: str, unserved: Item | None) -> list[dict[str, Any]]:
    """One to three tools that do not serve the question; only composed ones, so no question about facts fits them."""
    tools: list[Tool] = []
    while len(tools) < rng.choice((1, 2, 3)):
        tool = composed_tool(rng, language)
        asked_for = unserved is not None and serves(tool, unserved)
        if not asked_for and all(tool.asks != other.asks for other in tools):
            tools.append(tool)
    return [tool.as_openai() for tool in tools]


def serves(tool: Tool, item: Item) -> bool:
    """True if both the tool's verb and its object stand in the question."""
    bare = tool.asks[item.language][-1 if item.language == "en" else 0].split("{rest}")[0].strip()
    return bare.lower() in item.question.lower() or all(part in item.question.lower() for part in bare.split())
