"""Reading a request's JSON: every field by name, type and range, or a BadRequest that says what it should be."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors import BadRequest

Body = Mapping[str, Any]


def read_body(data: bytes) -> Body:
    """The object a request's body is. Raises BadRequest for anything else, also for text that is not UTF-8."""
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadRequest(f"the body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object", code="invalid_json")
    return value


def refuse(body: Body, unsupported: Mapping[str, str]) -> None:
    """Raise BadRequest for a field that is known but not supported; null and false are as good as absent."""
    for name in unsupported.keys() & body.keys():
        if body[name] not in (None, False, [], {}, 0):
            raise BadRequest(f"{name} is not supported: {unsupported[name]}", code="unsupported_parameter", param=name)


def wrong(name: str, expected: str, value: object) -> BadRequest:
    """``value`` is shown only as far as it is short: it may be a prompt."""
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, int | float | bool | None) else _kind(value)
    return BadRequest(f"{name} should be {expected}, it is {shown}", code="invalid_value", param=name)


def real(body: Body, name: str, default: float, least: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise wrong(name, _range("a number", least, most), value)
    return float(value)


def whole(body: Body, name: str, least: int, most: int) -> int | None:
    """A whole number, also written as 5.0; None where the field is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(name, _range("a whole number", least, most), value)
    return value


def switch(body: Body, name: str, default: bool = False) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(name, "true or false", value)
    return value


def text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong(name, "a text", value)
    return value


def choice(body: Body, name: str, known: Sequence[str]) -> str | None:
    value = text(body, name)
    if value is not None and value not in known:
        raise BadRequest(f"{name} should be one of {', '.join(known)}", code="invalid_value", param=name)
    return value


def table(body: Body, name: str) -> Body | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise wrong(name, "an object", value)
    return value


def items(body: Body, name: str) -> Sequence[Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, list):
        raise wrong(name, "a list", value)
    return value


def _range(kind: str, least: float, most: float) -> str:
    if math.isinf(most) or most >= 2**31 - 1:
        return f"{kind} of at least {least:g}"
    return f"{kind} from {least:g} to {most:g}"


def _kind(value: object) -> str:
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
