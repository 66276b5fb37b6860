"""The schedule: what a step computes, in which order, and that everything admitted finishes."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.engines.transformers_server.schedule import Schedule, Step
from slipway.engines.transformers_server.slots import Slots


@dataclass(eq=False)
class Text:
    tokens: list[int]
    left: int = 1  # tokens to answer


def schedule(slots: int, most_tokens: int) -> Schedule[Text]:
    return Schedule(Slots(slots), most_tokens)


def shape(step: Step[Text]) -> list[tuple[int, int, int, bool]]:
    return [(chunk.running.slot.index, chunk.start, chunk.count, chunk.last) for chunk in step.chunks]


def work(running: Schedule[Text]) -> Step[Text]:
    """A step, with an answer for everyone who gets one."""
    step = running.step()
    running.computed(step)
    for chunk in step.chunks:
        if chunk.last:
            text = chunk.running.sequence
            text.tokens.append(-1)
            text.left -= 1
            if text.left == 0:
                running.end(chunk.running)
    return step


def test_answers_come_before_prompts() -> None:
    running = schedule(3, 100)
    running.add(Text([1, 2, 3], left=5))
    assert shape(work(running)) == [(0, 0, 3, True)]
    running.add(Text([4, 5]))
    assert shape(work(running)) == [(0, 3, 1, True), (1, 0, 2, True)]


def test_a_long_prompt_takes_several_steps_and_answers_go_on() -> None:
    running = schedule(2, 10)
    running.add(Text([1], left=9))
    work(running)
    running.add(Text(list(range(100, 125))))
    assert shape(work(running)) == [(0, 1, 1, True), (1, 0, 9, False)]
    assert shape(work(running)) == [(0, 2, 1, True), (1, 9, 9, False)]
    assert shape(work(running)) == [(0, 3, 1, True), (1, 18, 7, True)]


def test_the_first_come_is_the_first_served() -> None:
    running = schedule(1, 10)
    first, second, third = Text([1]), Text([2]), Text([3])
    for text in (first, second, third):
        running.add(text)
    served = [work(running).chunks[0].running.sequence for _ in range(3)]
    assert served == [first, second, third]
    assert running.idle


def test_what_waits_or_runs_can_be_dropped() -> None:
    running = schedule(1, 10)
    first, second, third = Text([1], left=9), Text([2]), Text([3])
    for text in (first, second, third):
        running.add(text)
    work(running)
    assert running.drop(second)
    assert running.drop(first)
    assert not running.drop(first)
    assert work(running).chunks[0].running.sequence is third


def test_a_broken_slot_is_not_reused() -> None:
    running = schedule(1, 100)
    running.add(Text(list(range(50)), left=9))
    work(running)
    running.end(running.running[0], broken=True)
    running.add(Text(list(range(50))))
    assert shape(work(running)) == [(0, 0, 50, True)]


def test_the_same_prompt_twice_is_computed_once() -> None:
    running = schedule(2, 200)
    running.add(Text(list(range(100)), left=3))
    running.add(Text(list(range(100)), left=3))
    assert shape(work(running)) == [(0, 0, 100, True)]
    assert shape(work(running)) == [(0, 100, 1, True), (1, 99, 1, True)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(0, 1)), min_size=1, max_size=20),
    st.integers(1, 4),
    st.integers(4, 20),
)
def test_everything_is_computed_once_and_finishes(
    texts: list[tuple[int, int, int]], slots: int, most_tokens: int
) -> None:
    running = schedule(slots, most_tokens)
    added = [Text([base * 1000 + place for place in range(count)], left) for count, left, base in texts]
    for text in added:
        running.add(text)
    for _ in range(1000):
        if running.idle:
            break
        before = {id(each.sequence): each.slot.computed for each in running.running}
        step = work(running)
        assert 0 < sum(chunk.count for chunk in step.chunks) <= most_tokens
        assert len({chunk.running.slot.index for chunk in step.chunks}) == len(step.chunks)
        for chunk in step.chunks:
            assert chunk.start == before.get(id(chunk.running.sequence), chunk.running.place.cached)
    assert all(text.left == 0 for text in added)
