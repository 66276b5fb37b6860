"""The rate of a fetch, by a clock of our own."""

import pytest

from slipway.runtime.rate import Rate


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    rate = Rate()
    assert rate.update(0.0, 0) is None
    assert rate.update(0.1, 100) is None, "too soon to say"
    assert rate.update(1.0, 1000) == pytest.approx(1000)
    for second in range(2, 20):
        last = rate.update(float(second), 1000)
    assert last == 0, "nothing came for ten seconds"
    assert rate.update(20.0, 11000) == pytest.approx(1000)


def test_samples_far_apart_still_make_a_rate() -> None:
    rate = Rate()
    rate.update(0.0, 0)
    assert rate.update(60.0, 6000) == pytest.approx(100)
    assert rate.update(120.0, 6000) == 0


def test_a_fetch_that_starts_again_has_a_rate_of_its_own() -> None:
    rate = Rate()
    rate.update(0.0, 5000)
    assert rate.update(1.0, 0) is None
    assert rate.update(2.0, 300) == pytest.approx(300)
