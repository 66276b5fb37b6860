"""From a family to a model: the specs and quantizations that fit what was asked, a hub, a location on disk.

Names are matched without regard to case. What is not there raises UnknownName with what is there instead.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from slipway.errors import BadRequest, UnknownName
from slipway.types import Family, Format, Hub, Location, Source, Spec

PACKAGE = Path(__file__).parents[1]  # what the relative paths of built-in local sources start from

_FORMAT_ALIASES = {"gguf": Format.GGUF, "ggml": Format.GGML}
_HUB_ORDER = (Hub.LOCAL, Hub.HUGGINGFACE, Hub.MODELSCOPE)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$")  # llama.cpp's own splitting: it opens the first and finds the others

Candidate = tuple[Spec, str]


def candidates(
    family: Family,
    size: str | None = None,
    format: str | None = None,  # noqa: A002 - the word of the command line and the API
    quantization: str | None = None,
) -> tuple[Candidate, ...]:
    """The specs and quantizations of a family that fit, in page order; None fits all.

    Raises UnknownName for the first of format, size, quantization that nothing fits, with what exists there.
    """
    found = tuple((spec, each) for spec in family.specs for each in spec.quantizations)
    found = _of_format(family, found, format)
    found = _of_size(family, found, size)
    return _of_quantization(family, found, quantization)


def is_repository(name: str) -> bool:
    """Whether a model's name is that of a hub's repository: ``owner/name``."""
    return _REPOSITORY.fullmatch(name) is not None


def choose_source(
    spec: Spec, quantization: str, hub: str | None = None, better: Callable[[Source], bool] = lambda _: False
) -> Source:
    """Where to fetch a quantization: from ``hub``, or from the first that has it: huggingface, then modelscope.

    Where no hub is named, a source that is ``better`` comes before the others. Raises UnknownName for a hub there is
    not, BadRequest for one that does not have it.
    """
    having = {source.hub: source for source in spec.sources if quantization in source.quantizations}
    if hub is None:
        in_order = [having[each] for each in _HUB_ORDER if each in having]
        return next((source for source in in_order if better(source)), in_order[0])
    wanted = hub.casefold()
    if wanted in having:
        return having[Hub(wanted)]
    if wanted not in set(Hub):
        raise UnknownName("hub", hub, (Hub.HUGGINGFACE, Hub.MODELSCOPE))
    what = f"{wanted} does not have {spec.format} {spec.size} {quantization}"
    if Hub.LOCAL in having:
        raise BadRequest(f"{what}: it is on this machine already, leave the hub out", param="download_hub")
    raise BadRequest(f"{what}: {' and '.join(having)} does", param="download_hub")


def location(source: Source, quantization: str, models_dir: Path) -> Location:
    """The repository and files of a quantization, and the path where they are, or will be once fetched."""
    repository = _filled(source.repository, quantization)
    if source.hub is Hub.LOCAL:
        path = PACKAGE / repository  # an absolute path stays as it is
        return Location(source.hub, str(path), path=path)
    files, path = _files(source, quantization), _directory(source, repository, models_dir)
    if source.file is not None:
        path /= files[0] if _SHARD.search(files[0]) else _filled(source.file, quantization)
    return Location(source.hub, repository, source.revision, files, path)


def _files(source: Source, quantization: str) -> tuple[str, ...]:
    if source.file is None:
        return ()
    return source.parts.get(quantization) or (_filled(source.file, quantization),)


def _directory(source: Source, repository: str, models_dir: Path) -> Path:
    revision = source.revision or "main"
    return models_dir / source.hub / repository.replace("/", "--") / revision.replace("/", "--")


def _filled(text: str, quantization: str) -> str:
    return text.replace("{quantization}", quantization)


def _of_format(family: Family, found: tuple[Candidate, ...], asked: str | None) -> tuple[Candidate, ...]:
    if asked is None:
        return found
    wanted = _FORMAT_ALIASES.get(asked.casefold(), asked.casefold())
    fitting = tuple(each for each in found if each[0].format == wanted)
    if not fitting:
        advice = f"{family.name} is not kept as {wanted}" if wanted in set(Format) else ""
        raise UnknownName("format", asked, _distinct(spec.format for spec, _ in found), advice=advice)
    return fitting


def _of_size(family: Family, found: tuple[Candidate, ...], asked: str | None) -> tuple[Candidate, ...]:
    if asked is None:
        return found
    wanted = asked.casefold().removesuffix("b").replace(".", "_")
    fitting = tuple(each for each in found if each[0].size == wanted)
    if not fitting:
        formats = _distinct(spec.format for spec in family.specs if spec.size == wanted)
        advice = f"{family.name} {wanted} is there as {', '.join(formats)}" if formats else ""
        raise UnknownName("size", asked, _distinct(spec.size for spec, _ in found), advice=advice)
    return fitting


def _of_quantization(family: Family, found: tuple[Candidate, ...], asked: str | None) -> tuple[Candidate, ...]:
    if asked is None:
        return found
    wanted = asked.casefold()
    fitting = tuple(each for each in found if each[1].casefold() == wanted)
    if not fitting:
        elsewhere = _distinct(
            f"{spec.format} {spec.size}"
            for spec in family.specs
            if wanted in {quantization.casefold() for quantization in spec.quantizations}
        )
        advice = f"{asked} is there for {', '.join(elsewhere)}" if elsewhere else ""
        raise UnknownName("quantization", asked, _distinct(each for _, each in found), advice=advice)
    return fitting


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """As they first come; q4_0 and Q4_0 are one name, for either is taken."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    return tuple(first.values())
