"""Families written as family files are read back as they were."""

from dataclasses import replace

import pytest

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.document import parse_document
from slipway.catalogue.schema import family_from
from slipway.catalogue.written import family_text
from slipway.types import Ability, Architecture, Family, Format, Hub, Source, Spec


def read_back(family: Family) -> Family:
    return family_from(parse_document(family_text(family), "mine.toml", is_toml=True))


@pytest.mark.parametrize("name", load_catalogue().names)
def test_the_built_in_families(name: str) -> None:
    family = load_catalogue().family(name)
    if any(source.hub is Hub.LOCAL for spec in family.specs for source in spec.sources):
        return  # its paths are relative to the package, which a user's file may not be
    written = read_back(family)
    assert (written.name, written.specs) == (
        family.name,
        tuple(replace(s, model_id=s.sources[0].repository) for s in family.specs),
    )


def test_a_detected_family_with_awkward_names() -> None:
    shape = Architecture("LlamaForCausalLM", 2, 64, 4, 2, 128, 260, head_dim=32, tied=True, extra_parameters=5)
    specs = (
        Spec(
            Format.PYTORCH,
            "0_6",
            ("none", "8-bit"),
            "me/M.x",
            (Source(Hub.MODELSCOPE, "me/M.x", ("none", "8-bit"), revision="v1/x"),),
            shape,
            {"none": 123},
        ),
        Spec(
            Format.GGUF,
            "0_6",
            ("UD-Q4_K_XL", "BF16"),
            "me/M.x",
            (
                Source(
                    Hub.MODELSCOPE,
                    "me/M.x",
                    ("UD-Q4_K_XL", "BF16"),
                    '{quantization}/M "x"-{quantization}.gguf',
                    {"BF16": ("BF16/M-00001-of-00002.gguf", "BF16/M-00002-of-00002.gguf")},
                ),
            ),
            replace(shape, tied=False),
            {"UD-Q4_K_XL": 5, "BF16": 9},
        ),
    )
    family = Family(
        "M.x",
        4096,
        ("en", "中文"),
        (Ability.CHAT, Ability.TOOLS),
        'Says "hi" \\ back\n\x7f',
        specs,
        "hermes",
        builtin=False,
    )
    assert read_back(family) == replace(family, description=family.description.strip())
