"""An engine started from its launch in an environment given, without a Slipway server, and scored on the truth table.

For the table of engines and formats: launched, right of how many, tools and JSON, the same text, start-up seconds.
"""

import concurrent.futures
import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slipway.runtime.ports import free_port
from slipway.types import Launch
from tests.real.test_truth import is_right, rows

CLIENTS = 16
REQUEST_S = 300.0
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


class EngineDied(Exception):
    """The engine ended before it answered; the message is the end of its log."""


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine that answers at ``address`` for ``model`` with ``secret``."""

    address: str
    model: str
    secret: str = field(repr=False)
    pid: int
    startup_s: float
    log_path: Path

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON; the text of what is no JSON."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.secret}"}
        request = urllib.request.Request(self.address + path, None if body is None else _bytes(body), headers)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    def message(self, messages: Sequence[Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
        """The first choice's message at temperature 0; ``{"content": error}`` where the answer is no 200."""
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": 200, **fields}
        status, answer = self.ask("/v1/chat/completions", body)
        if status != 200:
            return {"content": f"HTTP {status}: {answer}"}
        message: dict[str, Any] = answer["choices"][0]["message"]
        return message

    def resident_bytes(self) -> int:
        """Memory of the engine's whole process group, shared pages counted once for each process."""
        return sum(_resident_bytes(pid) for pid in _group(self.pid))


@dataclass(frozen=True, slots=True)
class Score:
    """The truth table as one engine answered it. ``texts``: what it said to each row, to compare engines by."""

    right: int
    total: int
    by_task: Mapping[str, tuple[int, int]]
    wrong: tuple[str, ...]
    texts: Mapping[str, str]

    def same_as(self, other: "Score") -> int:
        """How many rows both answered with the same text or call."""
        return sum(self.texts[each] == other.texts.get(each) for each in self.texts)


@contextlib.contextmanager
def running_engine(launch: Launch, model: str, python: Path, folder: Path) -> Iterator[RunningEngine]:
    """Start a launch with ``python`` for its environment; ``folder`` takes its log and files. Ended with the block.

    Raises EngineDied.
    """
    port, secret = free_port(), secrets.token_urlsafe(32)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in launch.files.items():
        (folder / name).write_text(text)
    places = {"{python}": str(python), "{port}": str(port), "{files}": str(folder)}
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    env |= {name: _fill(value, places) for name, value in launch.env.items()} | {launch.secret_variable: secret}
    log_path, began = folder / "engine.log", time.monotonic()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [_fill(word, places) for word in launch.argv],
            env=env, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    engine = RunningEngine(f"http://127.0.0.1:{port}", model, secret, process.pid, 0.0, log_path)
    try:
        _wait_until_it_answers(engine, process, launch)
        yield replace(engine, startup_s=time.monotonic() - began)
    finally:
        _end(process)


def score(engine: RunningEngine, table: Sequence[Mapping[str, Any]] | None = None) -> Score:
    """Ask every row of the truth table, many at once."""
    asked = rows() if table is None else list(table)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        said = list(pool.map(lambda row: _said(engine, row), asked))
    marks = [is_right(dict(row), message) for row, message in zip(asked, said, strict=True)]
    total = Counter(str(row["task"]) for row in asked)
    right = Counter(str(row["task"]) for row, mark in zip(asked, marks, strict=True) if mark)
    wrong = tuple(str(row["id"]) for row, mark in zip(asked, marks, strict=True) if not mark)
    texts = {str(row["id"]): _text(message) for row, message in zip(asked, said, strict=True)}
    return Score(sum(marks), len(asked), {task: (right[task], total[task]) for task in total}, wrong, texts)


def on_a_cpu(launch: Launch, tokens: int = 65536) -> Launch:
    """A launch of SGLang as the rig in tests/real/sglang_rig runs it on a CPU. No plan of Slipway's is like it."""
    words = ("--device", "cpu", "--attention-backend", "torch_native", "--max-total-tokens", str(tokens))
    env = {**launch.env, "OMP_NUM_THREADS": "1", "SGLANG_USE_CPU_ENGINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return replace(launch, argv=(*launch.argv, *words), env=env)


def _said(engine: RunningEngine, row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"tools": row["tools"]} if row.get("tools") else {}
    if "schema" in row:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": row["schema"]}}
    return engine.message(row["messages"], **fields)


def _text(message: Mapping[str, Any]) -> str:
    calls = [(each["function"]["name"], each["function"]["arguments"]) for each in message.get("tool_calls") or []]
    return json.dumps(calls) if calls else str(message.get("content") or "")


def _wait_until_it_answers(engine: RunningEngine, process: subprocess.Popen[bytes], launch: Launch) -> None:
    end = time.monotonic() + launch.ready_timeout_s
    while not _answers(engine, launch.ready_path):
        if process.poll() is not None or time.monotonic() > end:
            how = f"exit code {process.returncode}" if process.returncode is not None else "no answer in time"
            raise EngineDied(f"{how}\n{engine.log_path.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)


def _answers(engine: RunningEngine, ready_path: str) -> bool:
    """As a replica's probe: ready, with our secret, for our model."""
    try:
        if engine.ask(ready_path)[0] != 200:
            return False
        status, models = engine.ask("/v1/models")
    except OSError:
        return False
    return status == 200 and engine.model in {each["id"] for each in models["data"]}


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return found


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _fill(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(name, value)
    return text


def _bytes(body: object) -> bytes:
    return json.dumps(body).encode()


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data or b"null")
    except ValueError:
        return data.decode(errors="replace")
