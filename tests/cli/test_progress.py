"""Progress: durations, lines, rates, and the display on and off a terminal."""

import io
from typing import Any

import pytest

from slipway.client import RemoteModel, remote_model
from slipway.commands.progress import Display, Meter, duration, phase_line
from slipway.commands.table import table
from tests.cli.stub import model

MIB = 1024**2


def seen(phase: str, **more: Any) -> RemoteModel:
    return remote_model(model("qwen", phase, **more))


def fetching(have: int, total: int | None) -> RemoteModel:
    return seen("fetching", progress={"fetched_bytes": have, "total_bytes": total})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0.61, "0.6 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (4 * 86400 + 3 * 3600 + 59, "4 d 3 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("state", "rate", "line"),
    [
        (seen("pending"), None, "qwen: waiting for its turn, 2.0 s"),
        (seen("starting"), None, "qwen: starting llama.cpp, 2.0 s"),
        (seen("stopping"), None, "qwen: stopping, 2.0 s"),
        (seen("failed", failure={"cause": "out of memory"}), None, "qwen: failed: out of memory, 2.0 s"),
        (fetching(0, None), None, "qwen: fetching what is missing, 2.0 s"),
        (fetching(MIB, None), None, "qwen: fetching 1.0 MiB, 2.0 s"),
        (fetching(50 * MIB, 200 * MIB), None, "qwen: fetching 50.0 MiB of 200.0 MiB (25%), 2.0 s"),
        (
            fetching(50 * MIB, 200 * MIB),
            10.0 * MIB,
            "qwen: fetching 50.0 MiB of 200.0 MiB (25%), 10.0 MiB/s, 15 s left, 2.0 s",
        ),
        (fetching(200 * MIB, 200 * MIB), 1.0 * MIB, "qwen: fetching 200.0 MiB of 200.0 MiB (100%), 1.0 MiB/s, 2.0 s"),
    ],
)
def test_lines(state: RemoteModel, rate: float | None, line: str) -> None:
    assert phase_line(state, 2.0, rate) == line


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    meter = Meter()
    assert meter.rate(0.0, 0) is None
    assert meter.rate(0.1, 100) is None  # too soon to say
    assert meter.rate(1.0, 1000) == 1000
    for second in range(2, 20):
        rate = meter.rate(float(second), 1000)
    assert rate is None  # nothing came for ten seconds
    assert meter.rate(20.0, 11000) == pytest.approx(1000)


def test_a_fetch_that_starts_again_has_a_rate_of_its_own() -> None:
    meter = Meter()
    meter.rate(0.0, 5000)
    assert meter.rate(1.0, 0) is None
    assert meter.rate(2.0, 300) == 300


def test_without_a_terminal_a_phase_is_a_line() -> None:
    out = io.StringIO()
    display = Display(out)
    for second, state in enumerate([seen("pending"), seen("starting"), seen("starting"), seen("stopping")]):
        display.show(state, float(second))
    display.clear()
    assert out.getvalue() == "qwen: waiting for its turn\nqwen: starting llama.cpp\nqwen: stopping\n"


def test_on_a_terminal_the_line_is_rewritten_and_cut_to_its_width() -> None:
    out = Terminal()
    display = Display(out, width=20)
    display.show(seen("starting"), 0.0)
    display.show(seen("starting"), 3.0)
    display.say("a word")
    shown = out.getvalue().split("\r\x1b[K")
    assert shown == ["", "qwen: starting llam", "qwen: starting llam", "a word\n"]


def test_the_elapsed_time_is_that_of_the_phase() -> None:
    out = Terminal()
    display = Display(out, width=80)
    display.show(seen("pending"), 0.0)
    display.show(seen("starting"), 5.0)
    display.show(seen("starting"), 7.0)
    assert out.getvalue().endswith("qwen: starting llama.cpp, 2.0 s")


def test_a_table_counts_wide_characters_twice() -> None:
    assert table(("A", "B"), [("模型", "x"), ("abcde", "")]) == "A      B\n模型   x\nabcde"
