"""Slots: which one a prompt gets, and what of it need not be computed again."""

import pytest

from slipway.engines.transformers_server.slots import Place, Slots, common_prefix


def text(start: int, count: int) -> list[int]:
    return list(range(start, start + count))


def finish(slots: Slots, place: Place, computed: int | None = None) -> None:
    """Its sequence has computed its tokens and ended."""
    place.slot.computed = len(place.slot.tokens) if computed is None else computed
    slots.release(place.slot)


def taken(slots: Slots, prompt: list[int]) -> Place:
    place = slots.take(prompt)
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("one", "other", "most", "expected"),
    [
        ([], [1], 9, 0),
        ([1, 2, 3], [1, 2, 4], 9, 2),
        ([1, 2, 3], [1, 2, 3], 2, 2),
        ([1, 2, 3], [1, 2, 3, 4], 9, 3),
        (text(0, 1300), text(0, 1300), 2000, 1300),
        (text(0, 1300), [*text(0, 1200), -1, *text(1201, 99)], 2000, 1200),
    ],
)
def test_common_prefix(one: list[int], other: list[int], most: int, expected: int) -> None:
    assert common_prefix(one, other, most) == expected


def test_no_slot_is_given_twice() -> None:
    slots = Slots(2)
    first, second = taken(slots, text(0, 20)), taken(slots, text(100, 20))
    assert {first.slot.index, second.slot.index} == {0, 1}
    assert slots.take(text(200, 20)) is None
    slots.release(first.slot)
    assert taken(slots, text(200, 20)).slot is first.slot


def test_a_followed_conversation_goes_on_in_its_slot() -> None:
    slots = Slots(2)
    place = taken(slots, text(0, 40))
    place.slot.tokens.append(40)  # an answer
    finish(slots, place, computed=40)
    again = taken(slots, text(0, 60))
    assert (again.slot, again.cached, again.source) == (place.slot, 40, None)


def test_the_same_prompt_computes_its_last_token() -> None:
    slots = Slots(1)
    finish(slots, taken(slots, text(0, 40)))
    assert taken(slots, text(0, 40)).cached == 39


def test_what_was_not_computed_is_not_reused() -> None:
    slots = Slots(1)
    finish(slots, taken(slots, text(0, 100)), computed=30)
    assert taken(slots, text(0, 100)).cached == 30


def test_a_short_beginning_is_not_reused() -> None:
    slots = Slots(2)
    finish(slots, taken(slots, text(0, 15)))
    assert taken(slots, text(0, 40)).cached == 0


def test_a_small_part_of_a_long_text_is_copied_so_that_both_stay() -> None:
    slots = Slots(2)
    long = taken(slots, text(0, 500))
    finish(slots, long)
    place = taken(slots, [*text(0, 50), *text(1000, 50)])
    assert (place.cached, place.source) == (50, long.slot)
    assert place.slot is not long.slot
    assert taken(slots, text(0, 500)).cached == 499


def test_a_busy_slot_is_copied_from() -> None:
    slots = Slots(2)
    busy = taken(slots, text(0, 50))
    busy.slot.computed = 50
    place = taken(slots, text(0, 50))
    assert (place.cached, place.source) == (49, busy.slot)


def test_with_one_slot_left_its_content_is_reused_where_it_is() -> None:
    slots = Slots(1)
    finish(slots, taken(slots, text(0, 500)))
    place = taken(slots, [*text(0, 50), *text(1000, 50)])
    assert (place.cached, place.source) == (50, None)


def test_the_slot_free_for_longest_is_overwritten() -> None:
    slots = Slots(3)
    places = [taken(slots, text(1000 * number, 20)) for number in range(3)]
    for number in (1, 2, 0):
        finish(slots, places[number])
    assert taken(slots, text(5000, 20)).slot is places[1].slot


def test_a_prompt_waits_for_the_same_long_one_being_computed() -> None:
    slots = Slots(3)
    first = taken(slots, text(0, 200))
    assert slots.take(text(0, 200)) is None
    assert taken(slots, text(1000, 200)).cached == 0  # another does not wait
    first.slot.computed = 200
    assert taken(slots, text(0, 200)).cached == 199


def test_nobody_waits_for_a_slot_that_computes_no_more() -> None:
    slots = Slots(2)
    finish(slots, taken(slots, text(0, 200)), computed=20)
    assert taken(slots, text(0, 200)).cached == 20


def test_a_forgotten_slot_is_not_reused() -> None:
    slots = Slots(1)
    place = taken(slots, text(0, 50))
    place.slot.computed = 50
    slots.forget(place.slot)
    assert taken(slots, text(0, 50)).cached == 0
