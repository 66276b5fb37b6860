"""Every error a user can meet. Each class knows its HTTP status, its exit code and its OpenAI error type.

SlipwayError                       500  exit 1
├── BadRequest                     400  exit 2   what was asked makes no sense as it stands
│   ├── UnknownName                404  exit 2   no such model, engine, size, format, quantization, option
│   ├── UnknownOption              400  exit 2   an engine option its schema does not have, or a bad value
│   ├── Refused                    400  exit 2   an engine's verdict: it cannot run this model
│   ├── InvalidFamily              400  exit 2   a family file is wrong, with line and key
│   └── BadModelFile               400  exit 2   weights that cannot be read: truncated, wrong format, missing
├── Unauthorized                   401  exit 1   no key, or a wrong one
├── Forbidden                      403  exit 1   a host or origin that may not ask
├── NotFound                       404  exit 1   no such deployment or path
├── MethodNotAllowed               405  exit 1   the path exists and does not take this method
├── Conflict                       409  exit 1   the uid is taken
├── TooLarge                       413  exit 1   a request body over the limit
│   └── HeadTooLarge               431  exit 1   a request line and headers over the limit
├── DoesNotFit                     503  exit 1   not enough memory, with the terms
├── NotReady                       503  exit 1   the deployment exists and does not answer yet
├── EngineFailed                   502  exit 1   the engine died or never answered, with the cause and log lines
├── FetchFailed                    502  exit 1   a hub did not give us the files
│   └── DiskFull                   507  exit 1   the disk has no room for them: needed, free, where
├── EnvironmentFailed              502  exit 1   an engine's environment could not be made, with uv's own lines
├── ServerUnreachable              502  exit 1   the command line found no Slipway server
├── PortInUse                      500  exit 1   another program listens where we should
└── Cancelled                      499  exit 130 the user said stop
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SlipwayError(Exception):
    """A failure told in words: what happened, why, what to do next. Never shown with a traceback."""

    http_status = 500
    exit_code = 1
    type = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param

    def as_object(self) -> dict[str, object]:
        """OpenAI's error object: ``{"error": {"message", "type", "param", "code"}}``."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(SlipwayError):
    http_status = 400
    exit_code = 2
    type = "invalid_request_error"


class UnknownName(BadRequest):
    """A name that is not in a known set; the message carries the nearest names and all that exist."""

    http_status = 404

    def __init__(self, kind: str, name: str, known: Iterable[str], *, advice: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(_unknown(kind, name, self.known, advice), code=f"{kind.replace(' ', '_')}_not_found")


class UnknownOption(BadRequest):
    """An option the engine's schema lacks, or a value it cannot take."""


class Refused(BadRequest):
    """An engine cannot run this model; the message is its verdict's reason."""


class InvalidFamily(BadRequest):
    """A family file that breaks the schema; the message names file, line and key."""


class BadModelFile(BadRequest):
    """Weights that cannot be used: unreadable, truncated, of another format, or not there."""


class Unauthorized(SlipwayError):
    http_status = 401
    type = "authentication_error"


class Forbidden(SlipwayError):
    http_status = 403
    type = "permission_error"


class NotFound(SlipwayError):
    http_status = 404
    type = "not_found_error"


class MethodNotAllowed(SlipwayError):
    http_status = 405
    type = "invalid_request_error"

    def __init__(self, method: str, path: str, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(allowed)
        super().__init__(f"{method} is not a method of {path}: use {self.allowed}")


class Conflict(SlipwayError):
    http_status = 409
    type = "conflict_error"


class TooLarge(SlipwayError):
    http_status = 413
    type = "invalid_request_error"


class HeadTooLarge(TooLarge):
    http_status = 431


class DoesNotFit(SlipwayError):
    http_status = 503
    type = "insufficient_memory"


class NotReady(SlipwayError):
    http_status = 503
    type = "not_ready_error"


class EngineFailed(SlipwayError):
    http_status = 502
    type = "engine_error"


class FetchFailed(SlipwayError):
    http_status = 502
    type = "fetch_error"


class DiskFull(FetchFailed):
    http_status = 507
    type = "insufficient_storage"


class EnvironmentFailed(SlipwayError):
    http_status = 502
    type = "environment_error"


class ServerUnreachable(SlipwayError):
    http_status = 502
    type = "server_unreachable"


class PortInUse(SlipwayError):
    type = "port_in_use"


class Cancelled(SlipwayError):
    http_status = 499
    exit_code = 130
    type = "cancelled"


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that look most like ``name``, best first, compared without regard to case."""
    by_lower = {each.lower(): each for each in known}
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=count, cutoff=0.5)]


def _unknown(kind: str, name: str, known: tuple[str, ...], advice: str) -> str:
    close = nearest(name, known)
    parts = [f"no {kind} named {name!r}"]
    if close:
        parts.append("nearest: " + ", ".join(close))
    if known and set(close) != set(known):
        parts.append("there are: " + ", ".join(known))
    if advice:
        parts.append(advice)
    return "; ".join(parts)
