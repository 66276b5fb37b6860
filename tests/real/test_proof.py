"""The table engine × format: every engine that runs here, in every format it runs, asked the whole truth table.

Each cell goes the whole way: a Slipway server, the launch API, the engine's own environment, the gateway. The formats
are exports of the pilot, and of its Llama twin for ggmlv3. SGLang has no build for CPUs, so its real server runs in the
rig of `sglang_rig` and is asked directly.
"""

import concurrent.futures
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.environments import SHARED, engine_python
from tests.real.server import Server, running_server
from tests.real.test_truth import TRUTH, is_right, parsed

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
TWIN_TRUTH = ROOT / "tests" / "twin" / "truth.jsonl"
LEAST = 0.95
CLIENTS = 16


@dataclass(frozen=True)
class Cell:
    engine: str
    kind: str  # of training.exports
    quantization: str | None = None  # asked for at the launch: what is quantized while loading
    twin: bool = False
    least: float = LEAST

    def __str__(self) -> str:
        return f"{self.engine} {self.kind}" + (f" {self.quantization}" if self.quantization else "")


CELLS = (
    *(Cell("llama.cpp", f"ggufv2-{quantization}") for quantization in ("q8_0", "q4_0", "q4_k_m", "q6_k")),
    Cell("llama.cpp", "ggufv2-q2_k", least=0.93),  # two bits a weight cost a model this small some of its answers
    Cell("llama.cpp", "llamafile"),
    *(Cell("llama.cpp", f"ggmlv3-{quantization}", twin=True) for quantization in ("q8_0", "q4_0", "q4_K_M")),
    Cell("Transformers", "pytorch"),
    Cell("Transformers", "pytorch", "8-bit"),
    Cell("Transformers", "pytorch", "4-bit"),
    Cell("Transformers", "gptq-Int4"),
    Cell("Transformers", "gptq-Int8"),
    Cell("Transformers", "awq-Int4"),
    Cell("vLLM", "pytorch"),
    Cell("vLLM", "gptq-Int4"),
    Cell("vLLM", "awq-Int4"),
)


@dataclass(frozen=True)
class Result:
    """One cell as it went: the messages by row, and how long the launch took."""

    messages: Mapping[str, dict[str, Any]]
    startup_s: float


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    SHARED.mkdir(parents=True, exist_ok=True)
    (home / "environments").symlink_to(SHARED)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with running_server(home) as server:
        yield server


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return {}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_format_on_an_engine(cell: Cell, server: Server, exports: Path, results: dict[str, Result]) -> None:
    if cell.twin and not (ROOT / "tests" / "twin" / "model.safetensors").exists():
        print(f"\n{cell}: NOT RUN, the Llama twin is not trained yet")
        pytest.skip("NOT RUN: the Llama twin is not trained yet (training/twin)")
    path = exported(cell, exports)
    body: dict[str, Any] = {"model_name": "cell", "model_engine": cell.engine, "model_path": str(path), "parallel": 4}
    if cell.quantization:
        body["quantization"] = cell.quantization
    started = time.monotonic()
    status, answer = server.ask("POST", "/v1/models", body)
    startup_s = time.monotonic() - started
    assert status == 200, answer
    try:
        table = rows_of(cell)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            said = list(pool.map(lambda row: asked(server, row), table))
    finally:
        server.ask("DELETE", "/v1/models/cell")
    results[str(cell)] = Result({row["id"]: each for row, each in zip(table, said, strict=True)}, startup_s)
    marks = [is_right(row, message) for row, message in zip(table, said, strict=True)]
    print("\n" + line(cell, table, marks, results))
    assert sum(marks) >= cell.least * len(marks)


def rows_of(cell: Cell) -> list[dict[str, Any]]:
    truth = TWIN_TRUTH if cell.twin else TRUTH
    return [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]


def exported(cell: Cell, exports: Path) -> Path:
    """The export of the cell's kind, made once; checkpoints are quantized by the Transformers engine's environment."""
    model = ROOT / ("tests/twin" if cell.twin else "src/slipway/pilot")
    if cell.kind == "pytorch":
        return model
    out = exports / cell.kind
    if not out.exists():
        python = engine_python("Transformers") if cell.kind.startswith(("gptq", "awq")) else sys.executable
        argv = [str(python), "-m", "training.exports", cell.kind, str(out), "--model", str(model)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
    (made,) = (each for each in out.iterdir() if cell.kind != "llamafile" or each.suffix == ".llamafile")
    return made


def asked(server: Server, row: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"tools": row["tools"]} if row.get("tools") else {}
    if "schema" in row:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": row["schema"]}}
    return server.chat("cell", row["messages"], **fields)


def text_of(message: Mapping[str, Any]) -> str:
    functions = [call["function"] for call in message.get("tool_calls") or []]
    calls = [(each["name"], parsed(each["arguments"]) or each["arguments"]) for each in functions]
    return json.dumps(calls) if calls else str(message.get("content") or "").strip()


def line(cell: Cell, table: list[dict[str, Any]], marks: list[bool], results: Mapping[str, Result]) -> str:
    """A row of the table: right answers, tool calls and JSON by themselves, equal to bf16 on Transformers, seconds."""
    own = results[str(cell)]
    reference = results.get("Transformers pytorch")
    parts = [f"{cell}: {sum(marks)} of {len(marks)} right ({sum(marks) / len(marks):.1%})"]
    for what, tasks in (("tools", {"tool_call", "tool_result", "tool_none"}), ("JSON", {"json"})):
        chosen = [mark for row, mark in zip(table, marks, strict=True) if row["task"] in tasks]
        if chosen:
            parts.append(f"{what} {sum(chosen)} of {len(chosen)}")
    if reference is not None and not cell.twin:
        same = sum(text_of(own.messages[each]) == text_of(reference.messages[each]) for each in own.messages)
        parts.append(f"{same} the same as bf16 on Transformers")
    return ", ".join([*parts, f"launched in {own.startup_s:.1f} s"])
