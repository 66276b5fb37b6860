"""Choosing an endpoint: a table of loads."""

import pytest

from slipway.gateway.balance import choose


@pytest.mark.parametrize(
    ("in_flight", "chosen"),
    [
        ([0], [0, 0, 0]),
        ([5], [0, 0, 0]),
        ([0, 0, 0], [0, 1, 2, 0]),
        ([1, 0, 1], [1, 1, 1]),
        ([2, 1, 1], [1, 2, 1, 2]),
        ([0, 9, 0], [0, 2, 0, 2]),
    ],
)
def test_choose(in_flight: list[int], chosen: list[int]) -> None:
    assert [choose(in_flight, turn) for turn in range(len(chosen))] == chosen


def test_a_long_run_is_even() -> None:
    asked = [0, 0, 0]
    for turn in range(300):
        asked[choose([0, 0, 0], turn)] += 1
    assert asked == [100, 100, 100]
