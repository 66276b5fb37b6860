"""The truth table, asked of the real engine through the gateway: every answer is compared with the right one."""

import concurrent.futures
import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import slipway
from tests.real.server import Server

pytestmark = pytest.mark.engine

TRUTH = Path(slipway.__file__).parent / "pilot" / "truth.jsonl"
LEAST = 0.97


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRUTH.read_text(encoding="utf-8").splitlines()]


def is_right(row: dict[str, Any], message: dict[str, Any]) -> bool:
    """The exact text, or the exact tool and arguments; JSON answers may differ in white space."""
    if "tool_call" in row:
        calls = message.get("tool_calls") or []
        wanted = (row["tool_call"]["name"], row["tool_call"]["arguments"])
        return bool([(c["function"]["name"], parsed(c["function"]["arguments"])) for c in calls] == [wanted])
    text = message.get("content") or ""
    if message.get("tool_calls"):
        return False
    if "schema" in row:
        return bool(parsed(text) == json.loads(row["answer"]))
    return bool(text.strip() == row["answer"])


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def asked(server: Server, row: dict[str, Any]) -> bool:
    fields: dict[str, Any] = {"tools": row["tools"]} if row.get("tools") else {}
    if "schema" in row:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": row["schema"]}}
    return is_right(row, server.chat("pilot", row["messages"], **fields))


def test_the_truth_table_is_answered_through_the_whole_stack(pilot: Server) -> None:
    table = rows()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        marks = list(pool.map(lambda row: asked(pilot, row), table))
    total = Counter(f"{row['task']} {row['language']}" for row in table)
    right = Counter(f"{row['task']} {row['language']}" for row, mark in zip(table, marks, strict=True) if mark)
    print(f"\nllama.cpp (xllamacpp {version('xllamacpp')}), pilot q8_0: {sum(marks)} of {len(marks)} right")
    for cell, count in sorted(total.items()):
        print(f"  {cell}: {right[cell]} of {count}")
    wrong = [row["id"] for row, mark in zip(table, marks, strict=True) if not mark]
    assert len(marks) >= 300
    assert sum(marks) >= LEAST * len(marks), f"wrong: {wrong}"
