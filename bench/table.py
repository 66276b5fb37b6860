"""Rows of the results and the Markdown they are written as, with the machine named."""

import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway import __version__
from slipway.runtime.devices import detect_machine
from slipway.types import in_gib


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. ``met`` is None where there is no target."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None
    note: str = ""


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def markdown(rows: Sequence[Row], date: str) -> str:
    """The whole results page."""
    lines = [
        "# Slipway measured",
        "",
        f"Slipway {__version__}, {date}, {machine_in_words()}.",
        "",
        "| what | figure | target | met | note |",
        "|---|---|---|---|---|",
    ]
    marks = {None: "", True: "yes", False: "**no**"}
    lines += [f"| {row.what} | {row.figure} | {row.target} | {marks[row.met]} | {row.note} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine_in_words() -> str:
    machine = detect_machine()
    gpus = ", ".join(gpu.name for gpu in machine.gpus) or "no GPU"
    system = f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    return f"{machine.cores} cores ({_processor()}), {in_gib(machine.memory_bytes)} of memory, {gpus}, {system}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
