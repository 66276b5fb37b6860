"""Tools of a chat request: what is offered, what the model may or must call, and the grammar that makes it so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.engines.transformers_server import fields, hermes
from slipway.engines.transformers_server.constraints import Constraint, Language, json_rule, lark, literal
from slipway.engines.transformers_server.fields import Body
from slipway.errors import BadRequest

PARSERS = ("hermes", "qwen25")  # two names of one form
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


class Calling(StrEnum):
    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"  # a named tool is required of one offered


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    parameters: Mapping[str, Any]
    strict: bool
    given: Mapping[str, Any]  # as it came, for the chat template


@dataclass(frozen=True, slots=True)
class Tools:
    calling: Calling = Calling.NONE
    offered: tuple[Tool, ...] = ()
    callable: tuple[Tool, ...] = ()  # all offered, or the named one
    parallel: bool = True


def read_tools(body: Body, parser: str | None) -> Tools:
    """Tools and tool_choice. ``parser``: the form in which the model calls tools; None: it was not taught one."""
    offered = _offered(body)
    calling, named = _tool_choice(body, offered)
    if calling is Calling.NONE:
        return Tools()
    if parser is None and calling is Calling.AUTO:
        raise BadRequest(
            "this model was not taught to call tools: its family names no tool parser. "
            "Leave tools out, or give tool_choice: 'required' or a named tool is constrained to a call",
            code="unsupported_parameter",
            param="tools",
        )
    chosen = tuple(tool for tool in offered if named is None or tool.name == named)
    parallel = fields.switch(body, "parallel_tool_calls", True) and named is None
    return Tools(calling, offered, chosen, parallel)


def tools_constraint(tools: Tools, answer: Constraint | None, special_tags: bool) -> Constraint | None:
    """The grammar of an answer with tools. ``special_tags``: <tool_call> is a special token of the vocabulary.

    A required call cannot fail; a call of a strict tool's cannot either. With a response format, an answer is either
    calls or in that format.
    """
    if tools.calling is Calling.NONE:
        return answer
    rules = _call_rules(tools, special_tags)
    calls = 'calls: call ("\\n" call)*' if tools.parallel else "calls: call"
    if tools.calling is Calling.REQUIRED:
        return _lark("start: calls", calls, *rules)
    if answer is not None:
        if answer.rule is None:
            raise BadRequest(
                f"{answer.param} with tools is supported for JSON and choices only: give tool_choice 'none'",
                code="unsupported_parameter",
                param=answer.param,
            )
        return _lark("start: calls | answer", f"answer: {answer.rule}", calls, *rules)
    if not any(tool.strict for tool in tools.callable):
        return None
    opening = f"opening: TEXT {hermes.OPEN}" if special_tags else f"opening[lazy]: TEXT {literal(hermes.OPEN)}"
    body = 'called: opening "\\n" body "\\n" ' + _tag(hermes.CLOSE, special_tags)
    return _lark("start: called* TEXT", "TEXT: /(.|\\n)*/", opening, body, *rules[1:])


def _call_rules(tools: Tools, special_tags: bool) -> list[str]:
    """call, body, and a rule for each tool."""
    opened, closed = (_tag(tag, special_tags) for tag in (hermes.OPEN, hermes.CLOSE))
    rules = [f'call: {opened} "\\n" body "\\n" {closed}', "body: " + " | ".join(_names(tools))]
    for rule, tool in zip(_names(tools), tools.callable, strict=True):
        head = literal(f'{{"name": {literal(tool.name)}, "arguments": ')
        schema = json_rule({"type": "object", **tool.parameters}, lenient=not tool.strict, one_line=True)
        rules += [f'{rule}: {head} {rule}_arguments "}}"', f"{rule}_arguments: {schema}"]
    return rules


def _names(tools: Tools) -> list[str]:
    return [f"tool_{number}" for number in range(len(tools.callable))]


def _tag(tag: str, special: bool) -> str:
    return tag if special else literal(tag)


def _lark(*rules: str) -> Constraint:
    return Constraint(Language.LARK, lark(*rules), "tools")


def _offered(body: Body) -> tuple[Tool, ...]:
    given: Sequence[Any] = fields.items(body, "tools") or ()
    tools = tuple(_tool(value, f"tools[{place}]") for place, value in enumerate(given))
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"two tools are named {name}", code="invalid_value", param="tools")
    return tools


def _tool(value: object, where: str) -> Tool:
    if not isinstance(value, dict) or value.get("type", "function") != "function":
        raise fields.wrong(where, 'an object of the type "function"', value)
    function = value.get("function")
    if not isinstance(function, dict):
        raise fields.wrong(f"{where}.function", "an object", function)
    name = function.get("name")
    if not isinstance(name, str) or not name or not all(each.isalnum() or each in "_-." for each in name):
        raise fields.wrong(f"{where}.function.name", "a name of letters, digits, _, - and .", name)
    parameters = fields.table(function, "parameters")
    strict = fields.switch(function, "strict")
    return Tool(name, _NO_PARAMETERS if parameters is None else parameters, strict, value)


def _tool_choice(body: Body, offered: Sequence[Tool]) -> tuple[Calling, str | None]:
    choice = body.get("tool_choice")
    if choice is None or choice == "auto":
        return (Calling.AUTO if offered else Calling.NONE), None
    if choice == "none":
        return Calling.NONE, None
    if not offered:
        raise BadRequest("tool_choice is given without tools", code="invalid_value", param="tool_choice")
    if choice == "required":
        return Calling.REQUIRED, None
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise fields.wrong("tool_choice", "'none', 'auto', 'required' or a named function", choice)
    if name not in {tool.name for tool in offered}:
        raise BadRequest(f"tool_choice names {name!r}, which is not among the tools", code="invalid_value",
                         param="tool_choice")  # fmt: skip
    return Calling.REQUIRED, name
