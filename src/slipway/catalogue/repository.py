"""What a hub's repository is, from its small files and the headers of its weights: a family that is in no catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.catalogue.detect import as_family, detect, no_model, size_in_billions
from slipway.catalogue.detect_file import Detected, name_from
from slipway.errors import BadModelFile
from slipway.formats.gguf_names import GgufModel, gguf_models
from slipway.types import Family, Format, Hub, Source, Spec

LOADED_AS = ("none", "8-bit", "4-bit")  # what engines make of a full-precision checkpoint


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as it was looked at: ``root`` holds its small files and headers, ``sizes`` all that matters."""

    hub: Hub
    name: str  # owner/name
    revision: str | None
    root: Path
    sizes: Mapping[str, int]


def family_of(repository: Repository) -> Family:
    """The family a repository makes: a spec for its checkpoint, and its GGUF quantizations.

    Raises BadModelFile with what the repository holds instead of a model that can be launched.
    """
    _refuse_others(repository)
    found = tuple(_detected(repository))
    if not found:
        raise no_model(repository.name, list(repository.sizes))
    size = size_in_billions(max(each.parameters for each in found))
    specs = tuple(replace(spec, size=size) for each in found for spec in _specs(repository, each))
    first = as_family(found[0], name_from(repository.name.rpartition("/")[2]))
    return replace(
        first,
        specs=specs,
        description=f"{found[0].architecture.name} detected in {repository.name} on {repository.hub}.",
        detected_from=f"{repository.hub}: {repository.name}",
    )


def _detected(repository: Repository) -> Iterator[Detected]:
    """The checkpoint, then the smallest of the GGUF models: the others differ in nothing but their quantization."""
    sizes = repository.sizes
    models = _models(repository)
    if "config.json" in sizes and any(name.endswith(".safetensors") for name in sizes):
        yield detect(repository.root)
    if models:
        smallest = min(models, key=lambda model: _bytes(model, sizes))
        yield detect(repository.root / smallest.files[0])


def _refuse_others(repository: Repository) -> None:
    sizes, what = repository.sizes, f"{repository.name} on {repository.hub}"
    if "model_index.json" in sizes:
        raise BadModelFile(f"{what} is a pipeline that makes images or sound (model_index.json), not a language model")
    if "modules.json" in sizes:
        raise BadModelFile(
            f"{what} is an embedding model (modules.json): chat and text generation are served, embeddings are not yet"
        )
    if "adapter_config.json" in sizes and "config.json" not in sizes:
        raise BadModelFile(f"{what} is an adapter, not a whole model: launch its base model and give it the adapter")


def _models(repository: Repository) -> tuple[GgufModel, ...]:
    """The GGUF models whose parts llama.cpp reads as they are; parts to be joined have no header to be looked at."""
    found = gguf_models(repository.sizes)
    return tuple(model for model in found if all(name.lower().endswith(".gguf") for name in model.files))


def _bytes(model: GgufModel, sizes: Mapping[str, int]) -> int:
    return sum(sizes[name] for name in model.files)


def _specs(repository: Repository, detected: Detected) -> Iterator[Spec]:
    if detected.format is Format.GGUF:
        yield from _gguf_specs(repository, detected)
        return
    quantizations = LOADED_AS if detected.quantization == "none" else (detected.quantization,)
    source = Source(repository.hub, repository.name, quantizations, revision=repository.revision)
    weights = {detected.quantization: detected.weights_bytes}
    yield _spec(detected, source, weights)


def _gguf_specs(repository: Repository, detected: Detected) -> Iterator[Spec]:
    """A spec for each way the files are named, with the quantizations it is there in."""
    models = _models(repository)
    patterns: dict[str, list[tuple[str, GgufModel]]] = {}
    taken: set[str] = set()
    for model in models:
        alone = detected.quantization if len(models) == 1 else name_from(Path(model.name).stem)
        quantization = model.quantization or alone
        if quantization.casefold() not in taken:
            taken.add(quantization.casefold())
            patterns.setdefault(model.pattern, []).append((quantization, model))
    for pattern, alike in patterns.items():
        names = tuple(quantization for quantization, _ in alike)
        parts = {quantization: model.files for quantization, model in alike if len(model.files) > 1}
        source = Source(repository.hub, repository.name, names, pattern, parts, repository.revision)
        sizes = {quantization: _bytes(model, repository.sizes) for quantization, model in alike}
        yield _spec(detected, source, sizes)


def _spec(detected: Detected, source: Source, weights_bytes: Mapping[str, int]) -> Spec:
    base = as_family(detected).specs[0]
    return replace(
        base,
        quantizations=source.quantizations,
        model_id=source.repository,
        sources=(source,),
        weights_bytes=weights_bytes,
    )
