"""For every quantization on the seed pages, our verdicts include the engines listed; our own pages are up to date."""

from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.pages import render_all, stale_pages
from slipway.catalogue.resolve import choose_source, location
from slipway.engines import ENGINES
from slipway.types import Family, Model, Spec
from tests.catalogue.seed_pages import FAMILIES, combinations, seed_page

CATALOGUE = load_catalogue()
DOCUMENTATION = Path(__file__).parents[1] / "docs" / "models"
BY_NAME = {engine.name: engine for engine in ENGINES}


def model_of(family: Family, spec: Spec, quantization: str) -> Model:
    source = choose_source(spec, quantization)
    return Model(family, spec, quantization, location(source, quantization, Path("/models")))


def engines_of(family: Family, spec: Spec, quantization: str) -> list[str]:
    model = model_of(family, spec, quantization)
    return [engine.name for engine in ENGINES if any(engine.match(model, kind) is None for kind in engine.kinds)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_engine_a_page_lists_can_run_what_it_is_listed_for(name: str) -> None:
    family, page = CATALOGUE.family(name), seed_page(name)
    refused = []
    for stated, quantization, engine in combinations(page):
        spec = family.specs[page.specs.index(stated)]
        if engine not in engines_of(family, spec, quantization):
            model = model_of(family, spec, quantization)
            reasons = {kind: BY_NAME[engine].match(model, kind) for kind in BY_NAME[engine].kinds}
            refused.append((engine, spec.format, spec.size, quantization, reasons))
    assert refused == []


def test_the_pages_in_the_documentation_are_up_to_date() -> None:
    pages = render_all(CATALOGUE, engines_of)
    assert stale_pages(DOCUMENTATION, pages) == (), "run `slipway docs`"
