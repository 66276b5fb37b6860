"""docs/engines.md says what the code says: what runs where, the versions, the options."""

import re
from pathlib import Path

import pytest

from slipway.engines import ENGINES
from slipway.engines.base import Engine
from slipway.types import DeviceKind, Format, Model
from tests.engines.models import model
from tests.engines.test_match import MODELS

TEXT = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()

ROWS: dict[str, tuple[Model, ...]] = {
    "pytorch, none": (MODELS["none"],),
    "pytorch, 4-bit or 8-bit": (MODELS["bnb4"], MODELS["bnb8"]),
    "gptq, Int4": (MODELS["gptq4"],),
    "gptq, Int8": (MODELS["gptq8"],),
    "awq, Int4": (MODELS["awq"],),
    "ggufv2": (MODELS["gguf"], model("llama-2-chat", "70", Format.GGUF, "Q4_K_M")),
    "ggmlv3": (MODELS["ggml"],),
    "Qwen2-VL, pytorch": (MODELS["vl"],),
    "Qwen2-VL, gptq or awq": (MODELS["vl-gptq8"], MODELS["vl-awq"]),
    "InternVL 1.5, none": (MODELS["internvl"],),
    "InternVL 1.5, Int8": (MODELS["internvl8"],),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_of_what_runs_where_is_true(row: str) -> None:
    line = re.search(rf"^\| {re.escape(row)} \|(.*)\|$", TEXT, re.MULTILINE)
    assert line is not None
    cells = [{DeviceKind(kind) for kind in re.findall(r"\w+", cell)} for cell in line.group(1).split("|")]
    for made in ROWS[row]:
        for engine, cell in zip(ENGINES, cells, strict=True):
            assert {kind for kind in DeviceKind if engine.match(made, kind) is None} == cell, engine.name


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_all_options_are_listed(engine: Engine) -> None:
    listed = re.search(rf"^- \*\*{re.escape(engine.name)}\*\*: ((?:`.*\n(?:  .*\n)*))", TEXT, re.MULTILINE)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed.group(1)) == list(engine.options)


def test_versions_are_those_pinned() -> None:
    for engine in ENGINES:
        for kind in engine.kinds:
            first = engine.environment(kind).requirements[0]
            assert first.split("==")[1] in TEXT, first
