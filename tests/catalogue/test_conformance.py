"""The catalogue against the seed pages themselves, the sources and the architectures: every fact, but the errata."""

import json
from collections.abc import Iterator

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.types import Architecture, Family, Hub, Spec
from tests.catalogue.seed_pages import FAMILIES, SEEDS, PageSpec, combinations, corrected, seed_page

CATALOGUE = load_catalogue()
TITLES = {Hub.HUGGINGFACE: "Hugging Face", Hub.MODELSCOPE: "ModelScope"}


def specs_beside_pages() -> Iterator[tuple[Family, Spec, PageSpec]]:
    for name in FAMILIES:
        family, page = CATALOGUE.family(name), corrected(name)
        assert len(family.specs) == len(page.specs)
        yield from ((family, spec, stated) for spec, stated in zip(family.specs, page.specs, strict=True))


def test_the_seed_pages_hold_60_specs_and_310_combinations() -> None:
    pages = [seed_page(name) for name in FAMILIES]
    assert sum(len(page.specs) for page in pages) == 60
    assert sum(1 for page in pages for _ in combinations(page)) == 310


@pytest.mark.parametrize("name", FAMILIES)
def test_the_family_states_what_its_page_states(name: str) -> None:
    family, page = CATALOGUE.family(name), corrected(name)
    stated = (page.name, page.context_length, page.languages, page.abilities, page.description)
    kept = (family.name, family.context_length, family.languages, tuple(map(str, family.abilities)), family.description)
    assert kept == stated


def test_every_spec_is_the_one_on_its_page_in_its_place() -> None:
    for _, spec, stated in specs_beside_pages():
        assert (spec.format, spec.size) == (stated.format, stated.size)
        assert spec.quantizations == stated.quantizations
        assert spec.model_id == stated.model_id
        assert {TITLES[source.hub]: source.repository for source in spec.sources} == stated.hubs


def test_the_sources_are_those_of_the_table_and_no_others() -> None:
    table = json.loads((SEEDS / "sources.json").read_text())
    expected = {
        (row["family"], row["format"], row["size"], row["hub"], tuple(row["quantizations"]), row["repository"]): (
            row.get("file"),
            {key: tuple(parts) for key, parts in row.get("parts", {}).items()},
        )
        for row in table
    }
    kept = {
        (family.name, spec.format, spec.size, source.hub, source.quantizations, source.repository): (
            source.file,
            dict(source.parts),
        )
        for family, spec, _ in specs_beside_pages()
        for source in spec.sources
    }
    assert len(expected) == len(table)
    assert kept == expected


def test_the_shapes_are_those_of_the_table() -> None:
    table = json.loads((SEEDS / "architectures.json").read_text())
    for family, spec, _ in specs_beside_pages():
        assert spec.architecture is not None
        shape = {column: getattr(spec.architecture, column) for column in table["columns"]}
        assert list(shape.values()) == table[family.name][spec.size]


@pytest.mark.parametrize(
    ("name", "size", "published"),
    [
        ("llama-2-chat", "7", 6_738_415_616),
        ("llama-2-chat", "13", 13_015_864_320),
        ("llama-2-chat", "70", 68_976_648_192),
        ("qwen1.5-chat", "0_5", 463_987_712),
        ("qwen1.5-chat", "7", 7_721_324_544),
        ("qwen2-vl-instruct", "2", 2_208_985_600),
        ("qwen2-vl-instruct", "7", 8_291_375_616),
        ("internvl-chat", "2", 2_205_754_368),
        ("internvl-chat", "26", 25_514_186_112),
    ],
)
def test_the_shapes_add_up_to_the_published_parameters(name: str, size: str, published: int) -> None:
    spec = next(spec for spec in CATALOGUE.family(name).specs if spec.size == size)
    assert spec.architecture is not None
    assert parameters(spec.architecture) == published


def parameters(shape: Architecture) -> int:
    """Weights of a decoder with gated feed-forward layers, in elements."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    attention = shape.hidden * (queries + 2 * keys) + queries * shape.hidden
    biases = queries + 2 * keys if shape.qkv_bias else 0
    layer = attention + biases + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden
    embeddings = shape.vocab * shape.hidden * (1 if shape.tied else 2)
    return embeddings + shape.layers * layer + shape.hidden + shape.extra_parameters
