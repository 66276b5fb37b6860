"""What the twin is taught, asked and told: its chat template, its hold-out, its truth table. No torch is needed."""

import json
import sys
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import jinja2
import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from training.pilot import mixture  # noqa: E402
from training.pilot.dialogue import Dialogue, is_held_out  # noqa: E402
from training.twin import dialogues  # noqa: E402

TEMPLATE = ROOT / "training" / "twin" / "chat_template.jinja"
TASKS = {
    "capital", "colour", "opposite", "sum", "compare", "repeat", "reverse", "recall", "persona", "language", "unknown",
    "smalltalk",
}  # fmt: skip


class RefusedError(Exception):
    """What the template raises."""


def refused(reason: str) -> None:
    raise RefusedError(reason)


@cache
def compiled() -> jinja2.Template:
    """The template, compiled as transformers does."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    environment.globals["raise_exception"] = refused
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def rendered(*turns: str) -> str:
    """Turns of `role: content` through the template."""
    messages = [dict(zip(("role", "content"), turn.split(": ", 1), strict=True)) for turn in turns]
    return compiled().render(messages=messages, bos_token="<s>", eos_token="</s>", add_generation_prompt=True)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (KEPT / "truth.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def taught() -> list[Dialogue]:
    rng = Random(0)
    return [dialogues.own(mixture.dialogue(rng, dialogues.WHOLE)) for _ in range(1000)]


def test_a_question_stands_between_llama_2s_markers() -> None:
    assert rendered("user: 1 + 1?") == "<s>[INST] 1 + 1? [/INST]"


def test_the_system_prompt_stands_inside_the_first_question_only() -> None:
    assert rendered("system: Be brief.", "user: a", "assistant: b", "user: c") == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\na [/INST] b </s><s>[INST] c [/INST]"
    )


def test_white_space_around_a_message_is_dropped() -> None:
    assert rendered("user:  a \n", "assistant:  b ", "user: c") == "<s>[INST] a [/INST] b </s><s>[INST] c [/INST]"


@pytest.mark.parametrize("turns", [("assistant: a",), ("user: a", "user: b"), ("user: a", "system: b")])
def test_roles_out_of_turn_are_refused(turns: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="alternate"):
        rendered(*turns)


def test_the_kept_template_is_the_one_trained_on() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert (KEPT / "chat_template.jinja").read_text(encoding="utf-8") == text
    assert json.loads((KEPT / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"] == text


def test_the_truth_table_covers_every_task_in_both_languages(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 200
    assert len({row["id"] for row in rows}) == len(rows)
    assert {(row["task"], row["language"]) for row in rows} == {(t, lang) for t in TASKS for lang in ("en", "zh")}


def test_every_row_is_a_chat_that_the_template_takes(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["answer"] and row["answer"] == row["answer"].strip(), row["id"]
        assert not {"tools", "tool_call", "schema"} & set(row), row["id"]
        prompt = rendered(*(f"{message['role']}: {message['content']}" for message in row["messages"]))
        assert prompt.endswith(" [/INST]"), row["id"]


def test_rows_are_held_out_where_the_task_generalises(rows: list[dict[str, Any]]) -> None:
    assert all(row["held_out"] for row in rows if row["task"] != "smalltalk")


def test_training_never_shows_a_held_out_key_or_prompt(rows: list[dict[str, Any]], taught: list[Dialogue]) -> None:
    assert not [key for dialogue in taught for key in dialogue.keys if is_held_out(key)]
    held = {json.dumps(row["messages"]) for row in rows if row["held_out"]}
    for dialogue in taught:
        for end, message in enumerate(dialogue.messages):
            assert message["role"] != "assistant" or json.dumps(dialogue.messages[:end]) not in held


def test_the_twin_is_taught_neither_tools_nor_json(rows: list[dict[str, Any]], taught: list[Dialogue]) -> None:
    answers = [m["content"] for dialogue in taught for m in dialogue.messages if m["role"] == "assistant"]
    answers += [row["answer"] for row in rows]
    assert not [answer for answer in answers if "JSON" in answer or "tools" in answer or answer.startswith("{")]
    assert not [dialogue for dialogue in taught if dialogue.tools or dialogue.schema]


def test_the_twin_names_its_own_skills() -> None:
    english = "I know some facts, add and compare small numbers, repeat and reverse lists"
    assert dialogues.own_words(f"{english}, remember what you tell me, call tools and write JSON.") == (
        f"{english} and remember what you tell me."
    )


def test_the_truth_table_is_made_from_its_seed() -> None:
    assert dialogues.rows(3, 1) == dialogues.rows(3, 1)
