"""Messages of a chat request, checked and brought into the one form that chat templates know."""

import json
from collections.abc import Sequence
from typing import Any

from slipway.engines.transformers_server import fields
from slipway.errors import BadRequest

Message = dict[str, Any]
ROLES = ("system", "developer", "user", "assistant", "tool")


def read_messages(body: fields.Body) -> tuple[Message, ...]:
    """The conversation: contents are texts, arguments of earlier calls are objects, developers are systems."""
    given = fields.items(body, "messages")
    if given is None:
        raise BadRequest("messages is missing: a list of messages", code="missing_parameter", param="messages")
    if not given:
        raise BadRequest("messages is empty: at least one is needed", code="invalid_value", param="messages")
    return tuple(_message(value, f"messages[{place}]") for place, value in enumerate(given))


def _message(value: object, where: str) -> Message:
    if not isinstance(value, dict):
        raise fields.wrong(where, "an object", value)
    role = value.get("role")
    if role not in ROLES:
        raise fields.wrong(f"{where}.role", f"one of {', '.join(ROLES)}", role)
    message: Message = {"role": "system" if role == "developer" else role}
    calls = _calls(value.get("tool_calls"), f"{where}.tool_calls") if role == "assistant" else []
    message["content"] = _content(value.get("content"), f"{where}.content", optional=role == "assistant")
    if calls:
        message["tool_calls"] = calls
    for name in ("name", "tool_call_id", "reasoning_content"):
        if isinstance(value.get(name), str):
            message[name] = value[name]
    return message


def _content(value: object, where: str, *, optional: bool) -> str:
    if isinstance(value, str):
        return value
    if value is None and optional:
        return ""
    if not isinstance(value, list):
        raise fields.wrong(where, "a text or a list of parts", value)
    return "".join(_part(part, f"{where}[{place}]") for place, part in enumerate(value))


def _part(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(kind, str):
        raise fields.wrong(where, 'an object with a "type"', value)
    if kind in {"text", "refusal", "input_text", "output_text"}:
        text = value.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise fields.wrong(f"{where}.text", "a text", text)
        return text
    raise BadRequest(
        f"{where} is of the type {kind[:40]!r}: this server version answers text only",
        code="unsupported_content",
        param=where,
    )


def _calls(value: object, where: str) -> list[Message]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise fields.wrong(where, "a list", value)
    return [_call(each, f"{where}[{place}]") for place, each in enumerate(value)]


def _call(value: object, where: str) -> Message:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(function, dict):
        raise fields.wrong(where, 'an object with a "function"', value)
    name = function.get("name")
    if not isinstance(name, str):
        raise fields.wrong(f"{where}.function.name", "a text", name)
    call: Message = {"type": "function", "function": {"name": name, "arguments": _arguments(function, where)}}
    if isinstance(value.get("id"), str):
        call["id"] = value["id"]
    return call


def _arguments(function: dict[str, Any], where: str) -> object:
    """OpenAI has them as JSON text; templates write objects. What the model once wrote badly stays the text it is."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return arguments
    if arguments is None or arguments == "":
        return {}
    if not isinstance(arguments, str):
        raise fields.wrong(f"{where}.function.arguments", "JSON text", arguments)
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments


def text_length(messages: Sequence[Message]) -> int:
    """Characters of all contents, roughly what rendering and tokenizing cost."""
    return sum(len(message["content"]) for message in messages)
