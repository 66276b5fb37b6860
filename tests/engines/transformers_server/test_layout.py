"""The layout: rows, positions, and which rows attend together."""

from dataclasses import dataclass

from slipway.engines.transformers_server.layout import Answers, Prompt, lay_out
from slipway.engines.transformers_server.schedule import Chunk, Running, Step
from slipway.engines.transformers_server.slots import Place, Slot


@dataclass(eq=False)
class Text:
    tokens: list[int]


def chunk(slot: int, start: int, count: int, *, total: int | None = None) -> Chunk[Text]:
    """Of a text whose tokens are 100 times its slot, counted up."""
    total = start + count if total is None else total
    text = Text([100 * slot + place for place in range(total)])
    return Chunk(Running(text, Place(Slot(slot))), start, count, start + count == total)


def step(*chunks: Chunk[Text]) -> Step[Text]:
    return Step((), chunks)


def test_neighbours_attend_together() -> None:
    layout = lay_out(step(chunk(0, 40, 1), chunk(1, 70, 1), chunk(2, 50, 1)), 1000, 100)
    assert layout.ids == [40, 170, 250]
    assert layout.positions == [40, 70, 50]
    assert layout.slots == [0, 1, 2]
    assert layout.kept == [0, 1, 2]
    assert layout.answers == (Answers(0, (0, 1, 2), 96),)
    assert layout.answers[0].dense


def test_a_much_longer_one_attends_alone() -> None:
    layout = lay_out(step(chunk(0, 40, 1), chunk(1, 900, 1), chunk(2, 50, 1)), 1000, 100)
    assert layout.answers == (Answers(0, (0,), 64), Answers(1, (1,), 928), Answers(2, (2,), 64))


def test_a_small_gap_is_computed_in_vain_and_a_large_one_is_not() -> None:
    layout = lay_out(step(chunk(1, 40, 1), chunk(3, 40, 1), chunk(30, 40, 1)), 1000, 100)
    assert layout.answers == (Answers(0, (1, 3), 64), Answers(2, (30,), 64))
    assert not layout.answers[0].dense
    assert layout.answers[0].slots == range(1, 4)


def test_prompts_come_after_answers_and_give_logits_when_complete() -> None:
    layout = lay_out(step(chunk(1, 9, 1), chunk(0, 0, 3), chunk(2, 5, 4, total=20)), 1000, 100)
    assert layout.ids == [109, 0, 1, 2, 205, 206, 207, 208]
    assert layout.positions == [9, 0, 1, 2, 5, 6, 7, 8]
    assert layout.prompts == (Prompt(1, 3, 0, 0), Prompt(4, 4, 2, 5))
    assert layout.kept == [0, 3]


def test_one_token_of_a_prompt_attends_like_an_answer() -> None:
    layout = lay_out(step(chunk(0, 0, 3), chunk(1, 7, 1, total=30)), 1000, 100)
    assert layout.answers == (Answers(3, (1,), 32),)
    assert layout.ids[3] == 107
    assert layout.kept == [2]


def test_lengths_stay_within_the_slot() -> None:
    assert lay_out(step(chunk(0, 99, 1)), 100, 100).answers == (Answers(0, (0,), 100),)
