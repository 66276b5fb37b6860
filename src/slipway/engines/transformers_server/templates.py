"""Chat templates: the checkpoint's own or a given file, rendered in a sandbox as the Transformers library does it."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension, LoopControlExtension
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from slipway.errors import BadRequest, SlipwayError

_DEFAULT, _WITH_TOOLS = "default", "tool_use"


class BadTemplate(SlipwayError):
    """A template that cannot be compiled: the model cannot be served with it."""


class ChatTemplate:
    """Compiled templates, one of which renders a conversation as the prompt. May be used from any thread."""

    def __init__(self, sources: Mapping[str, str], names: Mapping[str, str]) -> None:
        """``names``: special tokens by role, which templates write. Raises BadTemplate."""
        environment = _environment()
        self._names = dict(names)
        try:
            self._templates = {name: environment.from_string(source) for name, source in sources.items()}
        except jinja2.TemplateSyntaxError as error:
            raise BadTemplate(f"the chat template is not valid, line {error.lineno}: {error.message}") from None

    def render(self, messages: Sequence[Any], tools: Sequence[Any], arguments: Mapping[str, Any]) -> str:
        """The prompt. Raises BadRequest with the template's words, where it refuses the conversation."""
        template = self._templates.get(_WITH_TOOLS) if tools else None
        template = template or self._templates.get(_DEFAULT) or next(iter(self._templates.values()))
        values = {"add_generation_prompt": True, **arguments, **self._names}
        try:
            return template.render(values, messages=list(messages), tools=list(tools) or None, documents=None)
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise BadRequest(
                f"the model's chat template does not take these messages: {error}", code="invalid_value",
                param="messages",
            ) from None  # fmt: skip


def read_template(directory: Path, given: Path | None, names: Mapping[str, str]) -> ChatTemplate | None:
    """The template in the file ``given``, or the checkpoint's; None if it has none. Raises BadTemplate and OSError."""
    sources = {_DEFAULT: given.read_text(encoding="utf-8")} if given is not None else _of_checkpoint(directory)
    return ChatTemplate(sources, names) if sources else None


def _of_checkpoint(directory: Path) -> dict[str, str]:
    """chat_template.jinja goes before the older places: tokenizer_config.json, chat_template.json of processors."""
    sources = {
        file.stem: file.read_text(encoding="utf-8") for file in directory.glob("additional_chat_templates/*.jinja")
    }
    main = directory / "chat_template.jinja"
    if main.is_file():
        return {**sources, _DEFAULT: main.read_text(encoding="utf-8")}
    for name in ("tokenizer_config.json", "chat_template.json"):
        file = directory / name
        found = json.loads(file.read_text(encoding="utf-8")).get("chat_template") if file.is_file() else None
        if isinstance(found, str):
            return {**sources, _DEFAULT: found}
        if isinstance(found, list):
            return {**sources, **{each["name"]: each["template"] for each in found}}
    return sources


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None,
    separators: tuple[str, str] | None = None, sort_keys: bool = False,
) -> str:  # fmt: skip
    """Unlike Jinja's own: neither ASCII escapes nor HTML escapes, keys in their order."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


class _Generation(Extension):
    """``{% generation %}`` marks the assistant's tokens for training; here its content is simply rendered."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own form

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return CallBlock(self.call_method("_rendered"), [], [], body).set_lineno(line)

    def _rendered(self, caller: Callable[[], str]) -> str:
        return caller()
