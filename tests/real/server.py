"""A real Slipway server as a process, for tests: on a free port, with a home of its own, gone with the test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.runtime.ports import free_port

LIMIT_S = 120.0
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    endpoint: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLIPWAY_HOME": str(self.home), "SLIPWAY_ENDPOINT": self.endpoint}

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of one request; errors are answers too."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.endpoint + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def chat(self, model: str, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        """The first choice's message, at temperature 0."""
        body = {"model": model, "messages": messages, "temperature": 0, "max_tokens": 200, **fields}
        status, answer = self.ask("POST", "/v1/chat/completions", body)
        assert status == 200, answer
        message: dict[str, Any] = answer["choices"][0]["message"]
        return message

    def run(self, *argv: str, program: str = "slipway", stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command of the installed console scripts."""
        return subprocess.run(
            [str(BIN / program), *argv], env=self.env, input=stdin, capture_output=True, text=True, timeout=LIMIT_S
        )

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextlib.contextmanager
def running_server(home: Path, **env: str) -> Iterator[Server]:
    """Serve until the block ends, then stop in order and see that no engine is left."""
    port = free_port()
    process = subprocess.Popen(
        [str(BIN / "slipway"), "serve", "--port", str(port)], env={**os.environ, "SLIPWAY_HOME": str(home), **env}
    )
    server = Server(f"http://127.0.0.1:{port}", home, process)
    try:
        until(lambda: process.poll() is not None or answers(server), "the server answers")
        yield server
        engines = server.children() if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_S)
        until(lambda: not any(alive(pid) for pid in engines), "every engine has ended")
    finally:
        process.kill()
        process.wait()


def answers(server: Server) -> bool:
    with contextlib.suppress(OSError):
        return server.ask("GET", "/health")[0] == 200
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(true: Any, what: str) -> None:
    """Poll until it holds; the test fails after LIMIT_S seconds."""
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, f"waited {LIMIT_S:.0f} s in vain until {what}"
        time.sleep(0.02)
