"""Stop strings: cut exactly, held back no longer than needed, the same whatever the pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.engines.transformers_server.stops import StopFinder
from slipway.engines.transformers_server.words import Asked, Progress
from tests.engines.transformers_server.fakes import say, say_tokens, without_end
from tests.engines.transformers_server.stage import content, finish, serving, until

CASES = [
    (["END"], ["a", "E", "N", "D", "b"], ["a", "", "", "", ""], "END"),
    (["END"], ["aE", "Nb"], ["a", "ENb"], None),
    (["aab"], ["a", "a", "a", "b"], ["", "", "a", ""], "aab"),
    (["\n\n"], ["x\n", "y\n\nz"], ["x", "\ny"], "\n\n"),
    (["long one", "one"], ["a long one"], ["a "], "long one"),
    (["ab", "b"], ["xab"], ["x"], "ab"),
    (["b", "abc"], ["xabc"], ["xa"], "b"),
    (["止"], ["停", "止", "了"], ["停", "", ""], "止"),
    ([], ["END"], ["END"], None),
]


@pytest.mark.parametrize(("stops", "pieces", "shown", "found"), CASES)
def test_what_is_shown(stops: list[str], pieces: list[str], shown: list[str], found: str | None) -> None:
    finder = StopFinder(stops)
    assert [finder.feed(piece) for piece in pieces] == shown
    assert finder.found == found


def test_what_was_held_back_comes_at_the_end() -> None:
    finder = StopFinder(["END"])
    assert finder.feed("the EN") == "the "
    assert (finder.end(), finder.end(), finder.found) == ("EN", "", None)


def test_the_stop_can_be_included() -> None:
    finder = StopFinder(["END"], include=True)
    assert finder.feed("aE") + finder.feed("NDb") == "aEND"


@settings(deadline=None)
@given(st.text("ab", max_size=20), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3), st.data())
def test_pieces_make_no_difference(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    finder = StopFinder(stops)
    shown = "".join(finder.feed(piece) for piece in pieces) + finder.end()
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    assert text.startswith(shown)
    if ends:
        assert min(ends)[1] >= len(shown) or shown == text[: min(ends)[1]]
        assert not any(stop in shown for stop in stops)
    else:
        assert (shown, finder.found) == (text, None)


async def test_a_stop_cuts_the_text_and_ends_the_sequence() -> None:
    async with serving(lambda asked: without_end(say("one two STOP three ")), step_s=0.0005) as stage:
        answer = await stage.chat(stop="STOP")
        stream = await stage.stream(stop=["no", "STOP"])
        await until(lambda: stage.generator.idle)
    assert answer["choices"][0]["message"]["content"] == "one two "
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == len("one two STOP"), "what came after it was not counted"
    assert (content(stream), finish(stream)) == ("one two ", ["stop"])
    assert len(stage.generator.cancelled) == 2


async def test_a_stop_within_a_token_and_over_two() -> None:
    def script(asked: Asked) -> list[Progress]:
        return say_tokens(65, 261, 263, 66)  # "A Paris" "STOP" "B"

    async with serving(script) as stage:
        inside = await stage.chat(stop="ari", logprobs=True)
        over = await stage.complete(stop="sS", logprobs=1)
    assert inside["choices"][0]["message"]["content"] == "A P"
    assert [log["token"] for log in inside["choices"][0]["logprobs"]["content"]] == ["A", " Paris"]
    assert over["choices"][0]["text"] == "A Pari"
    assert over["choices"][0]["logprobs"]["tokens"] == ["A", " Paris"]
    assert over["choices"][0]["logprobs"]["text_offset"] == [0, 1]


async def test_one_choice_stops_and_the_others_go_on() -> None:
    def script(asked: Asked) -> list[Progress]:
        return say("short" if asked.sampling.seed == 1 else "a much longer answer")

    async with serving(script) as stage:
        answer = await stage.chat(n=2, seed=0, stop="short")
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a much longer answer", ""]
