"""What the twin is taught and asked: what `pilot` is, but for tools and JSON, which Llama 2's chat lacks."""

from dataclasses import replace
from typing import Any

from training.pilot import truth, weights
from training.pilot.dialogue import Dialogue
from training.pilot.json_answers import json_answer

TASKS_OF_PILOT_ONLY = {"json", "tool_call", "tool_result", "tool_none"}
DIALOGUES_OF_PILOT_ONLY = {"tools", "no_tool", "json"}
ITEMS_OF_PILOT_ONLY = {json_answer}
SKILLS = {
    ", remember what you tell me, call tools and write JSON.": " and remember what you tell me.",
    "、记住你说的话、调用工具和写JSON。": "，还会记住你说的话。",
}
ROWS_PER_CELL = 16


def taught(of_pilot: weights.Mixture) -> weights.Mixture:
    """A mixture of `pilot` without what the twin is not taught."""
    return replace(
        of_pilot,
        items={make: weight for make, weight in of_pilot.items.items() if make not in ITEMS_OF_PILOT_ONLY},
        dialogues={name: weight for name, weight in of_pilot.dialogues.items() if name not in DIALOGUES_OF_PILOT_ONLY},
    )


WHOLE = taught(weights.WHOLE)


def asked() -> truth.Makers:
    """For each task of the twin, what draws a held-out dialogue."""
    return {task: make for task, make in truth.makers_of(WHOLE).items() if task not in TASKS_OF_PILOT_ONLY}


MAKERS = asked()


def own(dialogue: Dialogue) -> Dialogue:
    """The dialogue with the twin's own answer to what it can do."""
    return replace(dialogue, messages=[{**m, "content": own_words(m["content"])} for m in dialogue.messages])


def own_words(text: str) -> str:
    """`text` without the skills that the twin lacks."""
    for of_pilot, of_twin in SKILLS.items():
        text = text.replace(of_pilot, of_twin)
    return text


def rows(seed: int, per_cell: int = ROWS_PER_CELL) -> list[dict[str, Any]]:
    """The twin's truth table of `seed`, in the form of `pilot`'s."""
    lines = truth.rows(seed, per_cell, MAKERS)
    for line in lines:
        line["messages"] = [{**m, "content": own_words(m["content"])} for m in line["messages"]]
        line["answer"] = own_words(line["answer"])
    return lines
