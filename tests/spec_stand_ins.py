"""Tiny stand-ins for the specs of the catalogue, under the repository and file names they have on each hub.

Their headers are those of their format and their weights are zero: enough to be fetched, checked and planned. What a
real engine launches is made in tests/real/stand_ins.py.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import location
from slipway.types import Family, Format, Hub, Location, Source, Spec
from tests import ggml_writer, gguf_writer

FAMILIES = ("qwen1.5-chat", "llama-2-chat", "qwen2-vl-instruct", "internvl-chat")


@dataclass(frozen=True, slots=True)
class Case:
    """One spec on one hub that has it, in one quantization."""

    family: Family
    spec: Spec
    source: Source
    quantization: str

    def __str__(self) -> str:
        return f"{self.source.hub}-{self.family.name}-{self.spec.size}-{self.spec.format}-{self.quantization}"

    @property
    def repository(self) -> str:
        return self.source.repository.replace("{quantization}", self.quantization)

    def location(self, models_dir: Path) -> Location:
        return location(self.source, self.quantization, models_dir)


def cases() -> Iterator[Case]:
    """Every spec of the seed pages on every hub that has it, each with a quantization; cut files where there are."""
    catalogue = load_catalogue()
    for name in FAMILIES:
        family = catalogue.family(name)
        for spec in family.specs:
            for source in spec.sources:
                yield Case(family, spec, source, next(iter(source.parts), source.quantizations[0]))


def files_of(case: Case, whole: bytes | None = None) -> dict[str, bytes]:
    """The files of a case's repository, the useless ones too. ``whole``: the weights of a one-file format."""
    useless = {"README.md": b"# stand-in", ".gitattributes": b"", "LICENSE": b"none"}
    if case.spec.format in {Format.GGUF, Format.GGML}:
        return {**useless, **_one_file(case, one_file(case.spec.format) if whole is None else whole)}
    return {**useless, **checkpoint(case.spec)}


@cache
def one_file(form: Format) -> bytes:
    small = ggml_writer.Shape(layers=1, file_type=7)
    return ggml_writer.ggml(small, ggml_writer.Q8_0) if form is Format.GGML else gguf_writer.gguf()


def _one_file(case: Case, whole: bytes) -> dict[str, bytes]:
    names = case.location(Path("/")).files
    assert names
    step = -(-len(whole) // len(names))
    return {name: whole[number * step : (number + 1) * step] for number, name in enumerate(names)}


def checkpoint(spec: Spec) -> dict[str, bytes]:
    """A checkpoint in two shards, with the config of its architecture and format, and a pickle."""
    assert spec.architecture is not None
    files = gguf_writer.checkpoint_files()
    config: dict[str, object] = {**gguf_writer.CONFIG, "architectures": [spec.architecture.name]}
    if spec.format is not Format.PYTORCH:
        bits = 8 if "Int8" in spec.quantizations and len(spec.quantizations) == 1 else 4
        config["quantization_config"] = {"quant_method": str(spec.format), "bits": bits}
    names = list(gguf_writer.WEIGHTS)
    shards = {name: f"model-0000{1 + (name != names[0])}-of-00002.safetensors" for name in names}
    for shard in set(shards.values()):
        files[shard] = gguf_writer.safetensors(
            {name: gguf_writer.WEIGHTS[name] for name in names if shards[name] == shard}
        )
    del files["model.safetensors"]
    index = {"metadata": {}, "weight_map": shards}
    return {
        **files,
        "config.json": json.dumps(config).encode(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "preprocessor_config.json": b"{}",
    }


def kept(case: Case, names: set[str]) -> set[str]:
    """Of a repository's names, those a launch may fetch."""
    if case.spec.format in {Format.GGUF, Format.GGML}:
        return set(case.location(Path("/")).files)
    return {name for name in names if name.endswith((".safetensors", ".json"))}


def on_hub(hub: Hub) -> list[Case]:
    return [case for case in cases() if case.source.hub is hub]
