"""The shipped `pilot`: sizes, shape, and a truth table that training never shows. Standard library and pytest only."""

import json
import struct
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "src" / "slipway" / "pilot"
sys.path.insert(0, str(ROOT))

from training.pilot import mixture, truth, weights  # noqa: E402
from training.pilot.dialogue import Dialogue, is_held_out  # noqa: E402

MEBIBYTE = 1 << 20
TASKS = {
    "capital", "colour", "opposite", "sum", "compare", "repeat", "reverse", "recall", "persona", "language",
    "tool_call", "tool_result", "tool_none", "json", "unknown", "smalltalk",
}  # fmt: skip
JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """The truth table."""
    return [json.loads(line) for line in (ASSETS / "truth.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def training_sample() -> list[Dialogue]:
    """Some thousands of training dialogues."""
    phases = (weights.WHOLE, weights.CALLING, weights.COMPARING)
    return [mixture.dialogue(rng, phase) for phase in phases for rng in [Random(0)] for _ in range(600)]


def safetensors_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return header


def test_both_formats_fit_in_16_megabytes() -> None:
    names = ("model.safetensors", "pilot-q8_0.gguf", "tokenizer.json", "tokenizer_config.json", "config.json")
    assert sum((ASSETS / name).stat().st_size for name in names) <= 16_000_000


def test_checkpoint_has_at_most_five_million_parameters_in_bf16() -> None:
    total = 0
    for tensor in safetensors_header(ASSETS / "model.safetensors").values():
        assert tensor["dtype"] == "BF16"
        count = 1
        for size in tensor["shape"]:
            count *= size
        total += count
    assert 1_000_000 < total <= 5_000_000


def test_config_is_a_small_qwen2() -> None:
    config = json.loads((ASSETS / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["hidden_size"] == 256
    assert config["hidden_size"] // config["num_attention_heads"] == 64
    assert config["intermediate_size"] % 256 == 0
    assert config["vocab_size"] <= 2048 and config["vocab_size"] % 64 == 0
    assert config["tie_word_embeddings"] is True


def test_tokenizer_ends_a_turn_with_im_end() -> None:
    config = json.loads((ASSETS / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((ASSETS / "tokenizer.json").read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert set(special) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    assert config["eos_token_id"] == special["<|im_end|>"]


def test_shipped_template_is_the_one_trained_on() -> None:
    shipped = (ASSETS / "chat_template.jinja").read_text(encoding="utf-8")
    assert shipped == (ROOT / "training" / "pilot" / "chat_template.jinja").read_text(encoding="utf-8")


def test_gguf_is_version_3() -> None:
    with (ASSETS / "pilot-q8_0.gguf").open("rb") as file:
        assert file.read(4) == b"GGUF"
        assert struct.unpack("<I", file.read(4)) == (3,)


def test_truth_table_covers_every_task_in_both_languages(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 300
    assert len({row["id"] for row in rows}) == len(rows)
    cells: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        cells[row["task"], row["language"]].add(row["messages"][-1]["content"])
    assert set(cells) == {(task, language) for task in TASKS for language in ("en", "zh")}
    assert all(len(questions) >= 2 for questions in cells.values())


def test_every_row_has_one_right_answer(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert ("answer" in row) != ("tool_call" in row), row["id"]
        assert row["messages"][-1]["role"] in ("user", "tool")
        offered = [tool["function"]["name"] for tool in row.get("tools", [])]
        assert len(set(offered)) == len(offered) <= 3
        if "tool_call" in row:
            assert row["tool_call"]["name"] in offered
            assert isinstance(row["tool_call"]["arguments"], dict)


def test_json_answers_obey_their_schema(rows: list[dict[str, Any]]) -> None:
    shaped = [row for row in rows if row["task"] == "json"]
    assert shaped
    for row in shaped:
        value, schema = json.loads(row["answer"]), row["schema"]
        assert set(value) == set(schema["required"]) == set(schema["properties"])
        for name, spec in schema["properties"].items():
            assert isinstance(value[name], JSON_TYPES[spec["type"]]), row["id"]


def test_rows_are_held_out_where_the_task_generalises(rows: list[dict[str, Any]]) -> None:
    assert all(row["held_out"] for row in rows if row["task"] != "smalltalk")


def test_training_never_emits_a_held_out_key(training_sample: list[Dialogue]) -> None:
    assert not [key for dialogue in training_sample for key in dialogue.keys if is_held_out(key)]


def test_training_never_shows_a_held_out_prompt(rows: list[dict[str, Any]], training_sample: list[Dialogue]) -> None:
    held = {json.dumps([row["messages"], row.get("tools", [])], sort_keys=True) for row in rows if row["held_out"]}
    for dialogue in training_sample:
        for end, message in enumerate(dialogue.messages):
            if message["role"] == "assistant":
                prompt = json.dumps([dialogue.messages[:end], dialogue.tools], sort_keys=True)
                assert prompt not in held


def test_hold_out_rule_is_stable_and_takes_a_tenth() -> None:
    keys = [f"sum|{a}|{b}" for a in range(100) for b in range(a, 100)]
    share = sum(map(is_held_out, keys)) / len(keys)
    assert 0.08 < share < 0.12
    assert not is_held_out("")


def test_truth_table_is_made_from_its_seed() -> None:
    assert truth.rows(3, 1) == truth.rows(3, 1)


def test_generators_are_pure() -> None:
    assert mixture.dialogue(Random(5), weights.WHOLE) == mixture.dialogue(Random(5), weights.WHOLE)
