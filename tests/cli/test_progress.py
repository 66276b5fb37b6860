"""Progress: durations, lines, rates, and the display on and off a terminal."""

import io
from typing import Any

import pytest

from slipway.client import RemoteModel, remote_model
from slipway.commands.progress import Display, duration, phase_line
from slipway.commands.table import table
from tests.cli.stub import model

MIB = 1024**2


def seen(phase: str, **more: Any) -> RemoteModel:
    return remote_model(model("qwen", phase, **more))


def fetching(have: int, total: int | None, rate: float | None = None) -> RemoteModel:
    return seen("fetching", progress={"fetched_bytes": have, "total_bytes": total, "bytes_per_s": rate})


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
    ("state", "line"),
    [
        (seen("pending"), "qwen: waiting for its turn, 2.0 s"),
        (seen("starting"), "qwen: starting llama.cpp, 2.0 s"),
        (seen("stopping"), "qwen: stopping, 2.0 s"),
        (seen("failed", failure={"cause": "out of memory"}), "qwen: failed: out of memory, 2.0 s"),
        (fetching(0, None), "qwen: fetching what is missing, 2.0 s"),
        (fetching(MIB, None), "qwen: fetching 1.0 MiB, 2.0 s"),
        (fetching(50 * MIB, 200 * MIB), "qwen: fetching 50.0 MiB of 200.0 MiB (25%), 2.0 s"),
        (
            fetching(50 * MIB, 200 * MIB, 10.0 * MIB),
            "qwen: fetching 50.0 MiB of 200.0 MiB (25%), 10.0 MiB/s, 15 s left, 2.0 s",
        ),
        (fetching(200 * MIB, 200 * MIB, 1.0 * MIB), "qwen: fetching 200.0 MiB of 200.0 MiB (100%), 1.0 MiB/s, 2.0 s"),
    ],
)
def test_lines(state: RemoteModel, line: str) -> None:
    assert phase_line(state, 2.0) == line


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
