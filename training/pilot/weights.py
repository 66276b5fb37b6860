"""How often each kind of question and of dialogue is drawn, for each phase of training."""

from dataclasses import dataclass, field, replace

from training.pilot.arithmetic import comparison, sum_or_difference
from training.pilot.dialogue import LARGEST_TERM, Maker
from training.pilot.facts import capital, colour, opposite, unknown_fact
from training.pilot.json_answers import json_answer
from training.pilot.lists import repeat, reverse
from training.pilot.recall import not_told
from training.pilot.smalltalk import smalltalk
from training.pilot.unknown import unknown

DRILLED: dict[Maker, float] = {sum_or_difference: 8, comparison: 1.2, capital: 1, opposite: 1.5, colour: 0.5}


@dataclass(frozen=True, slots=True)
class Mixture:
    """How often each kind of item and of dialogue is drawn: the weights are relative."""

    items: dict[Maker, float]
    dialogues: dict[str, float]
    largest: int = LARGEST_TERM
    drilled: dict[Maker, float] = field(default_factory=lambda: DRILLED)  # the short questions of a drill


WHOLE = Mixture(
    {
        capital: 1.6,
        colour: 1.2,
        opposite: 1.6,
        sum_or_difference: 3.0,
        comparison: 3.5,
        repeat: 1.6,
        reverse: 3.2,
        json_answer: 4.0,
        unknown: 1.6,
        unknown_fact: 2.0,
        smalltalk: 0.5,
        not_told: 0.3,
    },
    {"chat": 33, "drill": 13, "persona": 5, "language": 7, "recall": 7, "tools": 25, "no_tool": 10, "json": 3},
)
CALLING = replace(
    WHOLE,
    dialogues={
        "chat": 32,
        "drill": 7,
        "persona": 5,
        "language": 8,
        "recall": 5,
        "tools": 33,
        "no_tool": 10,
        "json": 3,
    },
)
COMPARING = replace(
    WHOLE,
    items={**WHOLE.items, comparison: 9},
    dialogues={
        "chat": 33,
        "drill": 25,
        "persona": 6,
        "language": 9,
        "recall": 5,
        "tools": 15,
        "no_tool": 5,
        "json": 2,
    },
    drilled={comparison: 9, sum_or_difference: 5, opposite: 1, capital: 0.5},
)
