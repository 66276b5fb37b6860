"""What an answer must look like: response_format and its relatives, and their grammar in llguidance's Lark.

Grammar text is built here with the standard library; ``grammars.py`` checks it and converts other grammar languages.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.engines.transformers_server import fields
from slipway.engines.transformers_server.fields import Body
from slipway.errors import BadRequest

# Between JSON's tokens: nothing, a blank, or a new line with an indentation. Without a bound, a small model may write
# blanks until its tokens are used up.
_WHITE_SPACE = r"(\n[ ]{0,40}|[ ])?"
_ONE_LINE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_GUIDED = {"guided_json": "json", "guided_regex": "regex", "guided_choice": "choice", "guided_grammar": "grammar"}
_KINDS = ("json", "regex", "choice", "grammar", "json_object")


class Language(StrEnum):
    """In which language a constraint's text is."""

    LARK = "lark"
    REGEX = "regex"
    GRAMMAR = "grammar"  # Lark or GBNF, told apart by llguidance


@dataclass(frozen=True, slots=True)
class Constraint:
    language: Language
    text: str
    param: str  # the request's field it came from, for errors
    rule: str | None = None  # the right side of Lark's start rule, where that is all of the text


def read_constraint(body: Body) -> Constraint | None:
    """The constraint on the answer's text, from whichever field gives it; at most one may."""
    found = [each for each in (_response_format(body), *_guided(body), *_structured_outputs(body)) if each]
    if len(found) > 1:
        names = " and ".join(each.param for each in found)
        raise BadRequest(f"{names} cannot be combined: give one of them", code="invalid_value", param=found[1].param)
    return found[0] if found else None


def json_rule(schema: Mapping[str, Any] | bool, *, lenient: bool, one_line: bool = False) -> str:
    """A JSON schema inside a Lark grammar. ``lenient``: keywords llguidance does not implement are ignored."""
    spaces = _ONE_LINE if one_line else {"whitespace_pattern": _WHITE_SPACE}
    if schema is True:
        schema = {}
    if schema is False:
        raise ValueError("no JSON can satisfy the schema false")
    guidance = {**spaces, "lenient": lenient}
    return "%json " + json.dumps({**schema, "x-guidance": guidance}, ensure_ascii=False)


def literal(text: str) -> str:
    """A text as a terminal of a Lark grammar."""
    return json.dumps(text, ensure_ascii=False)


def lark(*rules: str) -> str:
    return "\n".join(("%llguidance {}", *rules, ""))


def _response_format(body: Body) -> Constraint | None:
    asked = fields.table(body, "response_format")
    if asked is None:
        return None
    kind = fields.choice(asked, "type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise BadRequest("response_format has no type", code="invalid_value", param="response_format")
    if kind == "text":
        return None
    if kind == "json_object":
        return _json({"type": "object"}, False, "response_format")
    described = fields.table(asked, "json_schema")
    schema = described.get("schema") if described is not None else None
    if described is None or not isinstance(schema, dict | bool):
        raise BadRequest("json_schema has no schema", code="invalid_value", param="response_format")
    return _json(schema, fields.switch(described, "strict"), "response_format")


def _guided(body: Body) -> list[Constraint | None]:
    return [_of_kind(kind, body[name], name) for name, kind in _GUIDED.items() if body.get(name) is not None]


def _structured_outputs(body: Body) -> list[Constraint | None]:
    asked = fields.table(body, "structured_outputs")
    if asked is None:
        return []
    given = [kind for kind in _KINDS if asked.get(kind) not in (None, False)]
    if len(given) != 1:
        raise BadRequest(
            f"structured_outputs should have one of {', '.join(_KINDS)}",
            code="invalid_value",
            param="structured_outputs",
        )
    return [_of_kind(given[0], asked[given[0]], "structured_outputs")]


def _of_kind(kind: str, value: object, param: str) -> Constraint:
    if kind == "json_object":
        return _json({"type": "object"}, False, param)
    if kind == "json":
        return _json(_schema(value, param), False, param)
    if kind == "choice":
        return _choice(value, param)
    if not isinstance(value, str) or not value:
        raise fields.wrong(param, "a text", value)
    return Constraint(Language.REGEX if kind == "regex" else Language.GRAMMAR, value, param)


def _choice(value: object, param: str) -> Constraint:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise fields.wrong(param, "a list of texts", value)
    return _of_rule(" | ".join(literal(each) for each in value), param)


def _schema(value: object, param: str) -> Mapping[str, Any] | bool:
    if isinstance(value, str):
        value = fields.read_body(value.encode())
    if not isinstance(value, dict | bool):
        raise fields.wrong(param, "a JSON schema", value)
    return value


def _json(schema: Mapping[str, Any] | bool, strict: bool, param: str) -> Constraint:
    try:
        return _of_rule(json_rule(schema, lenient=not strict), param)
    except ValueError as error:
        raise BadRequest(f"{param}: {error}", code="invalid_value", param=param) from None


def _of_rule(rule: str, param: str) -> Constraint:
    return Constraint(Language.LARK, lark(f"start: {rule}"), param, rule)
