"""The truth table: prompts with their exact right answers, on the held-out side of the hold-out rule."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import Any

from training.pilot import mixture, weights
from training.pilot.arithmetic import comparison, sum_or_difference
from training.pilot.dialogue import LANGUAGES, Dialogue, Maker, drawn, is_held_out, system
from training.pilot.facts import capital, colour, opposite, unknown_fact
from training.pilot.json_answers import json_answer, json_with_system
from training.pilot.lists import repeat, reverse
from training.pilot.smalltalk import smalltalk
from training.pilot.system_prompts import neutral_prompt
from training.pilot.tool_dialogues import tool_dialogue
from training.pilot.unknown import unknown

ROWS_PER_CELL = 16
Makers = Mapping[str, Callable[[Random, str], Dialogue]]
SINGLE: dict[str, tuple[Maker, ...]] = {
    "capital": (capital,),
    "colour": (colour,),
    "opposite": (opposite,),
    "sum": (sum_or_difference,),
    "compare": (comparison,),
    "repeat": (repeat,),
    "reverse": (reverse,),
    "json": (json_answer,),
    "unknown": (unknown, unknown, unknown_fact),
    "smalltalk": (smalltalk,),
}


def single(rng: Random, language: str, task: str, chosen: weights.Mixture) -> Dialogue:
    """One question, at times after other turns of `chosen` or under a system prompt that changes nothing."""
    dialogue = Dialogue(task, language)
    if rng.random() < 0.25:
        dialogue.messages.append(system(neutral_prompt(rng)))
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 2))):
            dialogue.add(mixture.item(rng, chosen, language))
    item = drawn(rng.choice(SINGLE[task]), rng, language, held_out=task != "smalltalk")
    dialogue.add(item)
    dialogue.schema = item.schema
    return dialogue


def json_row(rng: Random, language: str, chosen: weights.Mixture) -> Dialogue:
    """A JSON question; one in three has its shape in the system prompt."""
    if rng.random() < 0.67:
        return single(rng, language, "json", chosen)
    while True:
        prompt, item = json_with_system(rng, language)
        dialogue = Dialogue("json", language, [system(prompt)], schema=item.schema)
        dialogue.add(item)
        if held_out(dialogue):
            return dialogue


def tool_call(rng: Random, language: str) -> Dialogue:
    """A dialogue that ends with the right call."""
    dialogue = tool_dialogue(rng, language, held_out=True)
    del dialogue.messages[-2:]
    return dialogue


def tool_result(rng: Random, language: str) -> Dialogue:
    """A dialogue that ends with the answer made of a tool's result."""
    dialogue = tool_dialogue(rng, language, held_out=True)
    dialogue.task = "tool_result"
    return dialogue


def makers_of(chosen: weights.Mixture) -> dict[str, Callable[[Random, str], Dialogue]]:
    """For each task, what draws a held-out dialogue in a language; other turns come from `chosen`."""
    return {
        **{task: partial(single, task=task, chosen=chosen) for task in SINGLE},
        "json": partial(json_row, chosen=chosen),
        "recall": lambda rng, lang: mixture.recall(rng, chosen, lang, held_out=True),
        "persona": lambda rng, lang: mixture.persona(rng, chosen, lang, held_out=True),
        "language": lambda rng, lang: mixture.language(rng, chosen, lang, held_out=True),
        "tool_call": tool_call,
        "tool_result": tool_result,
        "tool_none": lambda rng, lang: mixture.no_tool(rng, chosen, lang, held_out=True),
    }


MAKERS: Makers = makers_of(weights.WHOLE)


def held_out(dialogue: Dialogue) -> bool:
    """True if training never shows this dialogue."""
    return any(is_held_out(key) for key in dialogue.keys)


def dialogues(seed: int, per_cell: int = ROWS_PER_CELL, makers: Makers = MAKERS) -> Iterator[Dialogue]:
    """`per_cell` different dialogues of every task in every language; the last message is the right answer."""
    seen: set[str] = set()
    for task, make in makers.items():
        for language in LANGUAGES:
            rng = Random(f"{seed}:{task}:{language}")
            kept = 0
            while kept < per_cell:
                dialogue = make(rng, language)
                prompt = json.dumps([dialogue.messages[:-1], dialogue.tools])
                if prompt not in seen and (held_out(dialogue) or task == "smalltalk"):
                    seen.add(prompt)
                    kept += 1
                    yield dialogue


def row(dialogue: Dialogue, name: str) -> dict[str, Any]:
    """A dialogue as a line of the truth table."""
    answer = dialogue.messages[-1]
    line: dict[str, Any] = {
        "id": name,
        "task": dialogue.task,
        "language": dialogue.language,
        "held_out": held_out(dialogue),
        "messages": dialogue.messages[:-1],
    }
    if dialogue.tools:
        line["tools"] = dialogue.tools
    if answer.get("tool_calls"):
        function = answer["tool_calls"][0]["function"]
        line["tool_call"] = {"name": function["name"], "arguments": json.loads(function["arguments"])}
    else:
        line["answer"] = answer["content"]
    if dialogue.schema:
        line["schema"] = dialogue.schema
    return line


def rows(seed: int, per_cell: int = ROWS_PER_CELL, makers: Makers = MAKERS) -> list[dict[str, Any]]:
    """The truth table of `seed`."""
    counts: dict[str, int] = {}
    lines = []
    for dialogue in dialogues(seed, per_cell, makers):
        cell = f"{dialogue.task}-{dialogue.language}"
        counts[cell] = counts.get(cell, 0) + 1
        lines.append(row(dialogue, f"{cell}-{counts[cell]:02}"))
    return lines
