"""How often each kind of question and of dialogue is drawn, for each phase of training."""

from dataclasses import dataclass, replace

from training.pilot.arithmetic import comparison, sum_or_difference
from training.pilot.dialogue import LARGEST_TERM, Maker
from training.pilot.facts import capital, colour, opposite, unknown_fact
from training.pilot.json_answers import json_answer
from training.pilot.lists import repeat, reverse
from training.pilot.recall import not_told
from training.pilot.smalltalk import smalltalk
from training.pilot.unknown import unknown


@dataclass(frozen=True, slots=True)
class Mixture:
    """How often each kind of item and of dialogue is drawn: the weights are relative."""

    items: dict[Maker, float]
    dialogues: dict[str, float]
    spaced_calls: bool = False
    largest: int = LARGEST_TERM


BALANCED = Mixture(
    {
        capital: 2.2,
        colour: 1.4,
        opposite: 2.0,
        sum_or_difference: 3.2,
        comparison: 2.2,
        repeat: 1.6,
        reverse: 2.2,
        json_answer: 2.4,
        unknown: 2.0,
        unknown_fact: 1.0,
        smalltalk: 1.0,
        not_told: 0.3,
    },
    {"chat": 42, "persona": 9, "language": 8, "recall": 13, "tools": 19, "no_tool": 5, "json": 4},
    largest=99,
)
DRILLED: dict[Maker, float] = {sum_or_difference: 8, comparison: 1.2, capital: 1, opposite: 1.5, colour: 0.5}
PRACTISED = Mixture(
    {**BALANCED.items, sum_or_difference: 4.5},
    {"chat": 36, "drill": 15, "persona": 8, "language": 8, "recall": 10, "tools": 17, "no_tool": 8, "json": 4},
    spaced_calls=True,
    largest=99,
)
REFINED = replace(PRACTISED, dialogues={**PRACTISED.dialogues, "drill": 22}, largest=LARGEST_TERM)
FOCUSED = Mixture(
    {
        capital: 1.0,
        colour: 0.7,
        opposite: 1.0,
        sum_or_difference: 3.0,
        comparison: 3.0,
        repeat: 1.0,
        reverse: 3.5,
        json_answer: 5.0,
        unknown: 1.0,
        unknown_fact: 0.7,
        smalltalk: 0.5,
        not_told: 0.3,
    },
    {"chat": 34, "drill": 14, "persona": 5, "language": 6, "recall": 8, "tools": 23, "no_tool": 10, "json": 4},
    spaced_calls=True,
)
POLISHED = Mixture(
    {
        **FOCUSED.items,
        capital: 1.6,
        colour: 1.2,
        opposite: 1.6,
        comparison: 3.5,
        repeat: 1.4,
        json_answer: 3.5,
        unknown: 1.6,
        unknown_fact: 2.0,
    },
    {"chat": 34, "drill": 10, "persona": 5, "language": 6, "recall": 7, "tools": 24, "no_tool": 13, "json": 3},
    spaced_calls=True,
)
CALLING = replace(
    POLISHED,
    dialogues={
        "chat": 30,
        "drill": 6,
        "persona": 4,
        "language": 8,
        "recall": 4,
        "tools": 40,
        "no_tool": 8,
        "json": 2,
    },
)
