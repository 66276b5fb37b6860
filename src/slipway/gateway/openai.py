"""OpenAI's protocol as far as a relay has to know it: the model a request names, errors, the end of a stream. Pure."""

import json
import re
import time
from collections.abc import Iterable
from html import unescape
from typing import Any

from slipway.control.reconcile import Status
from slipway.deployment import Phase
from slipway.errors import BadRequest, EngineFailed, NotReady, SlipwayError, UnknownName
from slipway.gateway.exchange import parse_object

RELAYED_PATHS = ("/v1/chat/completions", "/v1/completions")

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_HELD_LIMIT_BYTES = 1024**2
_SEAM_BYTES = 3  # one less than the longest of _EVENT_ENDS
_TYPES = {429: "rate_limit_error", 404: "not_found_error", 413: "invalid_request_error"}
_ADDRESS = re.compile(r"\b(?:https?://)?(?:127(?:\.\d{1,3}){3}|localhost|0\.0\.0\.0|\[::1?\]):\d{2,5}\S*")
_TOO_LONG = re.compile(r"maximum context length|exceeds? the (?:available )?context size|context_length_exceeded", re.I)


def model_of(body: bytes) -> str:
    """The model a request body names. Raises BadRequest."""
    model = parse_object(body).get("model")
    if model is None:
        raise BadRequest("model is missing: name a running model, see GET /v1/models", param="model")
    if not isinstance(model, str):
        raise BadRequest(f"model has to be a string, not {type(model).__name__}", param="model")
    return model


def no_route(uid: str, statuses: Iterable[Status]) -> SlipwayError:
    """Why no endpoint answers for a model: it does not exist, is not ready yet, or has failed."""
    by_uid = {status.deployment.uid: status for status in statuses}
    status = by_uid.get(uid)
    if status is None:
        return _unknown_model(uid, by_uid)
    if status.phase is Phase.FAILED:
        cause = status.failure.cause if status.failure else "its engine is not running"
        return EngineFailed(
            f"model {uid!r} has failed: {cause}; see GET /v1/models/{uid}/logs, then terminate it and launch it again",
            code="model_failed",
        )
    waited = max(0, round(time.time() - status.since))
    return NotReady(
        f"model {uid!r} is not ready: {status.phase} for {waited} s; try again, see GET /v1/models/{uid}",
        code="model_not_ready",
    )


def _unknown_model(uid: str, by_uid: dict[str, Status]) -> SlipwayError:
    advice = "launch it with `slipway launch`" if by_uid else "no model is running: start one with `slipway launch`"
    error = UnknownName("model", uid, by_uid, advice=advice)
    error.param = "model"
    return error


# ---------------------------------------------------------------- errors of engines


def engine_error(status: int, body: bytes) -> SlipwayError:
    """An engine's error answer, in whatever shape, as ours: its message kept where it has one, addresses taken out.

    An engine that wants other credentials or redirects is our fault, not the client's: 502. 422 is OpenAI's 400.
    """
    found = _told(body)
    message = _ADDRESS.sub("the engine", _message(found) or _plain(body))
    if status < 400 or status in (401, 403, 407) or status > 599:
        return EngineFailed(f"the engine answered with HTTP status {status}, which it should not: see its log")
    error = SlipwayError(message or f"the engine answered with HTTP status {status} and no message")
    error.http_status = 400 if status == 422 else status
    error.type = _type(error.http_status)
    error.code, error.param = _text(found.get("code")), _text(found.get("param"))
    if error.http_status == 400 and _TOO_LONG.search(f"{message} {found.get('type')}"):
        error.code = "context_length_exceeded"
    return error


def _told(body: bytes) -> dict[str, Any]:
    """The object that holds the message: under ``error`` (OpenAI, llama.cpp, vLLM), or the whole one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {"message": value} if isinstance(value, str) else {}
    inner = value.get("error", value)
    return inner if isinstance(inner, dict) else {"message": inner}


def _message(found: dict[str, Any]) -> str:
    told = found.get("message", found.get("detail"))
    if isinstance(told, list):  # FastAPI's validation errors: [{"loc": ["body", "messages"], "msg": "Field required"}]
        return "; ".join(_complaint(each) for each in told)
    return told if isinstance(told, str) else ""


def _complaint(each: object) -> str:
    if not isinstance(each, dict):
        return str(each)
    where = each.get("loc", ())
    place = ".".join(str(part) for part in where if part != "body") if isinstance(where, list) else ""
    return f"{place}: {each.get('msg')}" if place else str(each.get("msg"))


def _plain(body: bytes) -> str:
    """A message from text or HTML, in one short line."""
    text = body[:4096].decode("utf-8", "replace")
    if text.lstrip()[:1] in ("{", "["):
        return ""
    text = re.sub(r"(?s)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", text)
    return " ".join(unescape(text).split())[:500]


def _type(status: int) -> str:
    return _TYPES.get(status) or ("invalid_request_error" if status < 500 else EngineFailed.type)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


# ---------------------------------------------------------------- streams


def error_event(error: SlipwayError) -> bytes:
    """The event that ends a broken stream."""
    return b"data: " + json.dumps(error.as_object(), ensure_ascii=False).encode() + b"\n\n"


class EventStream:
    """Passes a stream of server-sent events on, cut at their ends, so that a death never leaves half an event.

    Feeding returns the bytes that may go out now: nearly always the very ones that came in.
    """

    __slots__ = ("_held", "_held_bytes", "_seam", "tail")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._seam = b""  # the last held bytes, in which the end of an event may begin
        self.tail = b""  # the last bytes let out, a few events at most

    def feed(self, chunk: bytes) -> bytes:
        if self._held or not chunk.endswith(_EVENT_ENDS):
            chunk = self._whole_events(chunk)
        self.tail = chunk if len(chunk) > 1024 else self.tail[-2048:] + chunk
        return chunk

    def _whole_events(self, chunk: bytes) -> bytes:
        """Hold what follows the last end of an event; only new bytes are searched, however much is held."""
        joined = self._seam + chunk
        end = max((at + len(mark) for mark in _EVENT_ENDS if (at := joined.rfind(mark)) >= 0), default=0)
        cut = max(0, end - len(self._seam))
        if self._held_bytes + len(chunk) - cut > _HELD_LIMIT_BYTES:
            cut = len(chunk)
        out = b"".join((*self._held, chunk[:cut])) if cut else b""
        if cut:
            self._held, self._held_bytes, joined = [], 0, chunk[cut:]
        if cut < len(chunk):
            self._held.append(chunk[cut:])
            self._held_bytes += len(chunk) - cut
        self._seam = joined[-_SEAM_BYTES:]
        return out

    def end(self) -> bytes:
        """The engine closed the stream: what is still to be let out, if that makes it whole."""
        held = b"".join(self._held)
        self.tail += held
        return held if self.whole else b""

    @property
    def whole(self) -> bool:
        """Whether the stream said ``[DONE]`` and nothing after it."""
        lines = self.tail.rstrip().rsplit(b"\n", 1)
        return lines[-1].replace(b" ", b"") == b"data:[DONE]"
