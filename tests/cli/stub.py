"""A stub of the gateway: answers the client's requests from a script, on a thread, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JsonObject = dict[str, Any]


def model(uid: str = "pilot", phase: str = "ready", **more: Any) -> JsonObject:
    """A model object as GET /v1/models/{uid} answers it."""
    return {
        "id": uid,
        "object": "model",
        "created": 1000,
        "owned_by": "slipway",
        "model_uid": uid,
        "model_name": uid,
        "model_ability": ["chat"],
        "model_format": "ggufv2",
        "model_size_in_billions": "0_005",
        "quantization": "q8_0",
        "replica": 1,
        "model_engine": "llama.cpp",
        "phase": phase,
        "phase_since": 1000.0,
        "progress": None,
        "failure": None,
        "replicas": [{"replica": f"{uid}-0", "phase": phase, "pid": 1, "restarts": 0, "log": "x"}],
        "reasons": [],
        "warnings": [],
        **more,
    }


def error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@dataclass
class Stub:
    """The script. ``states``: what GET of a uid answers, the last one again and again; None: 404."""

    address: str = ""
    states: dict[str, list[JsonObject | None]] = field(default_factory=dict)
    launch: tuple[int, JsonObject] = (200, {"model_uid": "pilot"})
    events: list[str] = field(default_factory=list)  # lines of a streamed answer
    hang_after_events: bool = False
    refuses_delete: bool = False
    hangs_delete: bool = False
    hangs_log: bool = False
    holds: dict[str, threading.Event] = field(default_factory=dict)  # method -> its answers wait for this
    answer: tuple[int, JsonObject] = (200, {})
    log: str = ""
    key: str | None = None
    asked: list[tuple[str, str, JsonObject]] = field(default_factory=list)  # method, path, body
    polled: threading.Event = field(default_factory=threading.Event)
    streaming: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)  # the client closed a hanging stream
    closing: threading.Event = field(default_factory=threading.Event)

    def bodies(self, method: str, path: str) -> list[JsonObject]:
        return [body for how, where, body in self.asked if how == method and where.partition("?")[0] == path]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stub: Stub, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.stub = stub

    def handle_error(self, *_: object) -> None:
        """Clients that leave are part of the tests."""


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    server = Server(stub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    stub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        stub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def delta(text: str, finish: str | None = None) -> str:
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


class Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self._begin()
        if path == "/health":
            self._json(200, {"status": "ok", "version": "0"})
        elif not self._allowed():
            self._json(401, error("a key is needed", "authentication_error"))
        elif path == "/v1/models":
            self._json(
                200, {"object": "list", "data": [each[0] for each in self.server.stub.states.values() if each[0]]}
            )
        elif path.endswith("/logs") and self.server.stub.hangs_log:
            self._follow_log()
        elif path.endswith("/logs"):
            self._send(200, "text/plain", self.server.stub.log.encode())
        else:
            self._state(path.rsplit("/", 1)[-1])

    def do_POST(self) -> None:
        path = self._begin()
        if path == "/v1/models":
            self._launch()
        elif self.server.stub.events and self.server.stub.answer[0] == 200:
            self._stream()
        else:
            self._json(*self.server.stub.answer)

    def do_DELETE(self) -> None:
        uid = self._begin().rsplit("/", 1)[-1]
        if self.server.stub.hangs_delete:
            self._hang()
        elif self.server.stub.refuses_delete or self.server.stub.states.pop(uid, None) is None:
            self._json(404, error(f"no model named '{uid}'", "not_found_error"))
        else:
            self._json(200, {"model_uid": uid})

    def _launch(self) -> None:
        status, answer = self.server.stub.launch
        script = self.server.stub.states.get(str(answer.get("model_uid")), [])
        if script and script[0] and script[0]["phase"] == "failed":
            script.pop(0)  # a failed deployment is replaced
        self._json(status, answer)

    def _begin(self) -> str:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.stub.asked.append((self.command, self.path, body))
        held = self.server.stub.holds.get(self.command)
        while held is not None and not held.wait(0.02) and not self.server.stub.closing.is_set():
            pass
        return self.path.partition("?")[0]

    def _allowed(self) -> bool:
        return self.server.stub.key is None or self.headers.get("Authorization") == f"Bearer {self.server.stub.key}"

    def _state(self, uid: str) -> None:
        script = self.server.stub.states.get(uid, [None])
        state = script.pop(0) if len(script) > 1 else script[0]
        self.server.stub.polled.set()
        if state is None:
            self._json(404, error(f"no model named '{uid}'", "not_found_error"))
        else:
            self._json(200, state)

    def _follow_log(self) -> None:
        self._begin_chunks("text/plain")
        self._chunk(self.server.stub.log.encode())
        self._hang()

    def _begin_chunks(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _stream(self) -> None:
        self._begin_chunks("text/event-stream")
        for line in self.server.stub.events:
            self._chunk(f"{line}\n\n".encode())
        self.server.stub.streaming.set()
        if self.server.stub.hang_after_events:
            self._hang()
        self._chunk(b"")

    def _hang(self) -> None:
        self.connection.settimeout(0.02)
        while not self.server.stub.closing.is_set():
            try:
                if not self.connection.recv(1):
                    self.server.stub.left.set()
                    return
            except TimeoutError:
                continue
            except OSError:
                self.server.stub.left.set()
                return

    def _chunk(self, data: bytes) -> None:
        try:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        except OSError:
            self.server.stub.left.set()

    def _json(self, status: int, value: JsonObject) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
