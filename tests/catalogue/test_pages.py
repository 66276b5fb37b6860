"""The rendered pages: the seed parser reads them back, and their state in a directory is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.pages import INDEX, render, render_all, stale_pages, write_pages
from slipway.types import Family, Spec
from tests.catalogue.seed_pages import FAMILIES, corrected, parse, seed_page

CATALOGUE = load_catalogue()


def engines_on_pages(family: Family, spec: Spec, quantization: str) -> tuple[str, ...]:
    if family.name not in FAMILIES:
        return ("llama.cpp",)
    number = family.specs.index(spec)
    return seed_page(family.name).specs[number].engines[quantization]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_rendered_page_states_the_facts_of_the_seed_page(name: str) -> None:
    rendered = parse(render(CATALOGUE.family(name), engines_on_pages))
    assert rendered == replace(corrected(name), programs=frozenset({"slipway"}))


def test_engines_that_serve_some_quantizations_are_noted_each_group_by_itself() -> None:
    family = CATALOGUE.family("llama-2-chat")
    served = {"4-bit": ("A", "C"), "8-bit": ("A", "C", "D"), "none": ("A", "B", "E")}

    def engines(_family: Family, _spec: Spec, quantization: str) -> tuple[str, ...]:
        return served.get(quantization, ("A",))

    page = render(family, engines)
    note = (
        "A, C, D, B, E (C only available for quantization 4-bit and 8-bit; "
        "D only available for quantization 8-bit; B and E only available for quantization none)"
    )
    assert f"- **Engines**: {note}" in page
    assert parse(page).specs[3].engines == {key: tuple(e for e in "ACDBE" if e in has) for key, has in served.items()}


def test_a_page_says_where_a_hub_has_fewer_quantizations() -> None:
    assert render(CATALOGUE.family("llama-2-chat"), engines_on_pages).count("(only Q4_K_M)") == 2


def test_no_page_names_a_place_on_this_machine() -> None:
    for page in render_all(CATALOGUE, engines_on_pages).values():
        assert str(Path.home()) not in page
        assert "local <" not in page


def test_every_family_has_a_page_linked_from_the_index() -> None:
    pages = render_all(CATALOGUE, engines_on_pages)
    assert set(pages) == {INDEX, "pilot.rst", *(f"{name}.rst" for name in FAMILIES)}
    for name in (*FAMILIES, "pilot"):
        assert f"`{name} <{name}.rst>`__" in pages[INDEX]


def test_stale_missing_and_left_over_pages_are_told(tmp_path: Path) -> None:
    pages = render_all(CATALOGUE, engines_on_pages)
    names = tuple(sorted(pages))
    assert stale_pages(tmp_path, pages) == names
    write_pages(tmp_path, pages)
    assert stale_pages(tmp_path, pages) == ()
    with (tmp_path / "pilot.rst").open("a") as page:
        page.write("changed by hand")
    (tmp_path / "gone.rst").write_text(pages["pilot.rst"])
    (tmp_path / "notes.rst").write_text("not one of ours")
    assert stale_pages(tmp_path, pages) == ("gone.rst", "pilot.rst")
    write_pages(tmp_path, pages)
    assert stale_pages(tmp_path, pages) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*names, "notes.rst"))
