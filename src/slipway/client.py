"""The client of our HTTP API, for the command line: stdlib only, so that it starts fast, one connection a request.

Every failure is a SlipwayError: the server's error objects become the class they were made from.
"""

import json
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from slipway import errors
from slipway.deployment import Phase
from slipway.errors import BadRequest, EngineFailed, ServerUnreachable, SlipwayError, Unauthorized

QUICK_S = 30.0  # answers the server has at hand
SLOW_S = 180.0  # planning with a hub's listing, ending processes
TOKEN_S = 600.0  # between two pieces of an answer
_ERROR_BYTES = 1_000_000
_ASK = "`slipway list` tells how the model is"


@dataclass(frozen=True, slots=True)
class RemoteReplica:
    name: str
    phase: Phase
    cause: str | None  # why it failed


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A deployment as the server tells it. ``raw`` is the whole object; times in seconds since the epoch."""

    uid: str
    name: str
    engine: str
    format: str
    size: str
    quantization: str
    phase: Phase
    since: float
    replicas: int  # asked for
    members: tuple[RemoteReplica, ...]  # those the server has begun with
    fetched_bytes: int | None
    total_bytes: int | None
    bytes_per_s: float | None
    cause: str | None
    log_tail: tuple[str, ...]
    abilities: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    raw: Mapping[str, Any]
    installing: str | None = None  # what is done to make the engine's environment

    @property
    def ready_replicas(self) -> int:
        return sum(each.phase is Phase.READY for each in self.members)


class Client:
    """Speaks to the Slipway server at ``endpoint``, with a key if it asks for one."""

    def __init__(self, endpoint: str, key: str | None = None) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise BadRequest(f"the endpoint is {endpoint!r}: give an address such as http://127.0.0.1:9997")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise BadRequest("the API key holds characters that no key has: is it the right file?")
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        self.endpoint = f"{parts.scheme}://{parts.netloc}{prefix}"
        self.host = parts.hostname
        self.key = key
        self._port = port
        self._prefix = prefix
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection

    def healthy(self) -> bool:
        """Whether a Slipway server answers there."""
        try:
            return self._json("GET", "/health").get("status") == "ok"
        except ServerUnreachable:
            return False

    def models(self) -> tuple[RemoteModel, ...]:
        """Every deployment, ready or not."""
        return tuple(remote_model(each) for each in _field(self._json("GET", "/v1/models?all=true"), "data"))

    def model(self, uid: str) -> RemoteModel:
        return remote_model(self._json("GET", _path(uid)))

    def launch(self, body: Mapping[str, Any]) -> str:
        """Ask for a launch and return its uid at once, before it is ready."""
        return str(_field(self._json("POST", "/v1/models?wait_ready=false", body, timeout_s=SLOW_S), "model_uid"))

    def terminate(self, uid: str) -> None:
        """End a deployment; returns once its processes have ended."""
        self._json("DELETE", _path(uid), timeout_s=SLOW_S)

    def log(self, uid: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """The end of the engine's log, in pieces as they come; ``follow`` goes on until the caller stops."""
        query = urlencode({"lines": lines, "follow": str(follow).lower()})
        with self._answer("GET", f"{_path(uid)}/logs?{query}", timeout_s=None if follow else QUICK_S) as response:
            decode = getincrementaldecoder("utf-8")("replace").decode  # a character may fall between two pieces
            try:
                while piece := response.read1(65536):
                    yield decode(piece)
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from None

    def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One whole answer of an inference route."""
        return self._json("POST", path, body, timeout_s=TOKEN_S)

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The events of a streamed answer. Raises EngineFailed when it breaks off before its ``[DONE]``."""
        with self._answer("POST", path, {**body, "stream": True}, timeout_s=TOKEN_S) as response:
            try:
                yield from _events(response)
            except (OSError, HTTPException, ValueError) as error:
                raise EngineFailed(f"the answer broke off ({_cause(error)}); {_ASK}") from None

    def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = QUICK_S
    ) -> dict[str, Any]:
        with self._answer(method, path, body, timeout_s) as response:
            try:
                value = json.loads(response.read())
            except ValueError:
                raise self._stranger(response) from None
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from None
            if not isinstance(value, dict):
                raise self._stranger(response)
            return value

    @contextmanager
    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout_s: float | None = QUICK_S
    ) -> Iterator[HTTPResponse]:
        connection = self._connect(self.host, self._port, timeout=timeout_s)
        headers = {"Accept": "application/json, text/event-stream, text/plain"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            try:
                connection.request(method, self._prefix + path, payload, headers)
                response = connection.getresponse()
                text = response.read(_ERROR_BYTES) if response.status >= 300 else b""
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from None
            if response.status >= 300:
                raise error_from(response.status, text) or self._stranger(response)
            yield response
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"no Slipway server answers at {self.endpoint} ({_cause(error)}): "
            "start one with `slipway serve`, or name another with --endpoint or SLIPWAY_ENDPOINT"
        )

    def _stranger(self, response: HTTPResponse) -> ServerUnreachable:
        kind = response.getheader("Content-Type") or "nothing"
        return ServerUnreachable(
            f"what answers at {self.endpoint} is not a Slipway server (status {response.status}, {kind}): "
            "does another program listen there?"
        )


def error_from(status: int, body: bytes) -> SlipwayError | None:
    """The error an OpenAI error object tells of, as the class it was made from; None where the body holds none."""
    try:
        told = json.loads(body)["error"]
        message, kind = str(told["message"]), str(told.get("type"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    family = _class_of(status, kind)
    if family is Unauthorized:
        message += "; for the command line, put the key in SLIPWAY_API_KEY or in a file for --api-key-file"
    return family(message, code=_text_or_none(told.get("code")), param=_text_or_none(told.get("param")))


def remote_model(raw: Mapping[str, Any]) -> RemoteModel:
    """Read the server's model object. Raises ServerUnreachable where it is none."""
    try:
        return _remote_model(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise ServerUnreachable(
            f"the server describes a model in a way this version does not read: {error!r}"
        ) from None


def _remote_model(raw: Mapping[str, Any]) -> RemoteModel:
    progress, failure = raw.get("progress") or {}, raw.get("failure") or {}
    replicas = raw.get("replicas") or []
    return RemoteModel(
        uid=raw["id"],
        name=raw.get("model_name") or raw["id"],
        engine=raw.get("model_engine") or "",
        format=raw.get("model_format") or "",
        size=str(raw.get("model_size_in_billions") or ""),
        quantization=raw.get("quantization") or "",
        phase=Phase(raw.get("phase", "ready")),
        since=float(raw.get("phase_since") or raw.get("created") or 0),
        replicas=int(raw.get("replica") or len(replicas) or 1),
        members=tuple(RemoteReplica(each["replica"], Phase(each["phase"]), each.get("cause")) for each in replicas),
        fetched_bytes=progress.get("fetched_bytes"),
        total_bytes=progress.get("total_bytes"),
        bytes_per_s=progress.get("bytes_per_s"),
        cause=failure.get("cause"),
        log_tail=tuple(failure.get("log_tail") or ()),
        abilities=tuple(raw.get("model_ability") or ()),
        reasons=tuple(raw.get("reasons") or ()),
        warnings=tuple(raw.get("warnings") or ()),
        raw=raw,
        installing=raw.get("installing"),
    )


_TOLD: tuple[type[SlipwayError], ...] = (
    errors.BadRequest,
    errors.TooLarge,
    errors.Unauthorized,
    errors.Forbidden,
    errors.NotFound,
    errors.Conflict,
    errors.DoesNotFit,
    errors.NotReady,
    errors.EngineFailed,
    errors.FetchFailed,
    errors.EnvironmentFailed,
    errors.DiskFull,
    errors.Cancelled,
)


def _class_of(status: int, kind: str) -> type[SlipwayError]:
    exact = [each for each in _TOLD if each.type == kind and each.http_status == status]
    alike = exact or [each for each in _TOLD if each.type == kind]
    return (alike or [each for each in _TOLD if each.http_status == status] or [SlipwayError])[0]


def _events(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    done = False
    for line in response:  # to its very end: who leaves at the [DONE] looks like one who gave up
        field, _, data = line.decode("utf-8", "replace").strip().partition(":")
        if done or field != "data":
            continue
        if data.strip() == "[DONE]":
            done = True
            continue
        event = json.loads(data)
        if "error" in event:
            raise error_from(502, data.encode()) or EngineFailed(f"the engine answered with an error: {event['error']}")
        yield event
    if not done:
        raise EngineFailed(f"the answer broke off before its end; {_ASK}")


def _field(answer: Mapping[str, Any], name: str) -> Any:
    if name not in answer:
        raise ServerUnreachable(f"the server's answer has no {name}: is it a Slipway server, of this version?")
    return answer[name]


def _path(uid: str) -> str:
    return f"/v1/models/{quote(uid, safe='')}"


def _cause(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
