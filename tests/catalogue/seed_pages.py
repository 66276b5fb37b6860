"""A parser for model pages: the seed pages in tests/seeds, and the ones the catalogue renders in the same shape."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

SEEDS = Path(__file__).parents[1] / "seeds"
FAMILIES = ("internvl-chat", "llama-2-chat", "qwen1.5-chat", "qwen2-vl-instruct")

# The errata, all there are: (page, spec number) -> the ModelScope repository it links, and the right one.
WRONG_LINKS = {
    ("qwen2-vl-instruct", 2): ("qwen/Qwen2-VL-2B-Instruct-GPTQ-Int4", "qwen/Qwen2-VL-2B-Instruct-GPTQ-Int8"),
    ("qwen2-vl-instruct", 6): ("qwen/Qwen2-VL-7B-Instruct-GPTQ-Int4", "qwen/Qwen2-VL-7B-Instruct-GPTQ-Int8"),
    ("internvl-chat", 2): ("AI-ModelScope/InternVL-Chat-V1-5-{quantization}", "AI-ModelScope/InternVL-Chat-V1-5"),
}
WRONG_WORDS = {"qwen2-vl-instruct": ("familities", "families")}

_HUB_LINK = re.compile(r"`(?P<title>[^<]+) <(?P<address>[^>]+)>`__(?: \(only (?P<only>[^)]+)\))?")
_COMMAND = re.compile(
    r"(?P<program>xinference|slipway) launch --model-engine \$\{engine\} --model-name (?P<name>\S+) "
    r"--size-in-billions (?P<size>\S+) --model-format (?P<format>\S+) --quantization \$\{quantization\}"
)
_HEADING = re.compile(r"Model Spec (?P<number>\d+) \((?P<format>\S+), (?P<size>\S+) Billion\)\n\++\n")
_ADDRESSES = {"Hugging Face": "https://huggingface.co/", "ModelScope": "https://modelscope.cn/models/"}
_ONLY = re.compile(r"(?P<engines>.+) only available for quantization (?P<quantizations>.+)")


@dataclass(frozen=True)
class PageSpec:
    """Every fact a page states of one spec."""

    format: str
    size: str
    quantizations: tuple[str, ...]
    engines: dict[str, tuple[str, ...]]  # quantization -> engines, in the order of the page
    model_id: str
    hubs: dict[str, str]  # title -> repository


@dataclass(frozen=True)
class Page:
    """Every fact of a page."""

    name: str
    context_length: int
    languages: tuple[str, ...]
    abilities: tuple[str, ...]
    description: str
    specs: tuple[PageSpec, ...]
    programs: frozenset[str]  # what the command lines start with


def seed_page(name: str) -> Page:
    return parse((SEEDS / f"{name}.rst").read_text(encoding="utf-8"))


def corrected(name: str) -> Page:
    """A seed page with its errata mended, each of which has to be there."""
    page = seed_page(name)
    if name in WRONG_WORDS:
        wrong, right = WRONG_WORDS[name]
        assert wrong in page.description
        page = replace(page, description=page.description.replace(wrong, right))
    specs = list(page.specs)
    for (family, number), (wrong, right) in WRONG_LINKS.items():
        if family == name:
            spec = specs[number - 1]
            assert spec.hubs["ModelScope"] == wrong
            specs[number - 1] = replace(spec, hubs={**spec.hubs, "ModelScope": right})
    return replace(page, specs=tuple(specs))


def parse(text: str) -> Page:
    """Parse a page; every line that states a fact has to be there, in its place, and agree with the others."""
    header, *bodies = re.split(r"(?=^Model Spec \d+ \()", text, flags=re.MULTILINE)
    name = _field(header, "Model Name")
    assert f".. _models_llm_{name}:" in header
    specs, programs = [], set()
    for number, body in enumerate(bodies, start=1):
        command = _match(_COMMAND, body)
        spec = _spec(body, number)
        assert (command["name"], command["size"], command["format"]) == (name, spec.size, spec.format)
        specs.append(spec)
        programs.add(command["program"])
    return Page(
        name=name,
        context_length=int(_field(header, "Context Length")),
        languages=_list(_field(header, "Languages")),
        abilities=_list(_field(header, "Abilities")),
        description=_field(header, "Description"),
        specs=tuple(specs),
        programs=frozenset(programs),
    )


def combinations(page: Page) -> Iterator[tuple[PageSpec, str, str]]:
    """Every spec, quantization and engine that a page says go together."""
    for spec in page.specs:
        for quantization in spec.quantizations:
            for engine in spec.engines[quantization]:
                yield spec, quantization, engine


def _spec(body: str, number: int) -> PageSpec:
    heading = _match(_HEADING, body)
    assert int(heading["number"]) == number
    quantizations = _list(_field(body, "Quantizations"))
    spec = PageSpec(
        format=_field(body, "Model Format"),
        size=_field(body, "Model Size (in billions)"),
        quantizations=quantizations,
        engines=_engines(_field(body, "Engines"), quantizations),
        model_id=_field(body, "Model ID"),
        hubs=dict(_hubs(_field(body, "Model Hubs"))),
    )
    assert (heading["format"], heading["size"]) == (spec.format, spec.size)
    return spec


def _engines(text: str, quantizations: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """``vLLM, Transformers (vLLM only available for quantization none)`` -> engines of each quantization."""
    names, _, note = text.partition(" (")
    only: dict[str, tuple[str, ...]] = {}
    for each in filter(None, note.removesuffix(")").split("; ")):
        limit = _match(_ONLY, each)
        only |= dict.fromkeys(
            re.split(", | and ", limit["engines"]), tuple(re.split(", | and ", limit["quantizations"]))
        )
    return {
        quantization: tuple(name for name in _list(names) if quantization in only.get(name, quantizations))
        for quantization in quantizations
    }


def _hubs(text: str) -> Iterator[tuple[str, str]]:
    for link in _HUB_LINK.finditer(text):
        address = _ADDRESSES[link["title"]]
        assert link["address"].startswith(address)
        yield link["title"], link["address"].removeprefix(address)


def _field(text: str, name: str) -> str:
    found = re.findall(rf"^- \*\*{re.escape(name)}(?::\*\*|\*\*:) +(.*?) *$", text, flags=re.MULTILINE)
    assert len(found) == 1, f"{name} is stated {len(found)} times"
    return str(found[0])


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.search(text)
    assert found, f"nothing matches {pattern.pattern}"
    return found
