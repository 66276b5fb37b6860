"""What the names of a repository's GGUF files say: which belong together, and which quantization each model has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

PLACEHOLDER = "{quantization}"
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_JOINED = re.compile(r"(?P<stem>.+\.gguf)(\.[a-z]|-split-[a-z])", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])((UD-)?I?Q[1-8](_[A-Z0-9]+)*|TQ[12]_0|MXFP4(_MOE)?|BF16|F16|F32|FP16|FP32)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"mmproj|imatrix|(^|[-_.])vocab([-_.]|$)", re.IGNORECASE)  # GGUF files that are no models


@dataclass(frozen=True, slots=True)
class GgufModel:
    """One model of a repository: its files in order, and the name they have, or have once joined.

    ``quantization`` is the word in the name, None where it has none; ``pattern`` is the name with a placeholder for it.
    """

    name: str
    files: tuple[str, ...]
    quantization: str | None
    pattern: str


def gguf_models(names: Iterable[str]) -> tuple[GgufModel, ...]:
    """The GGUF models among a repository's names: shards and parts together, projectors and the like left out."""
    parts: dict[str, list[str]] = {}
    for name in sorted(names):
        whole = _whole(name)
        if whole is not None and not _OTHERS.search(PurePosixPath(whole).stem):
            parts.setdefault(whole, []).append(name)
    return tuple(_model(whole, tuple(files)) for whole, files in parts.items())


def _whole(name: str) -> str | None:
    if shard := _SHARD.fullmatch(name):
        return f"{shard['stem']}.gguf"
    if joined := _JOINED.fullmatch(name):
        return joined["stem"]
    return name if name.lower().endswith(".gguf") else None


def _model(whole: str, files: tuple[str, ...]) -> GgufModel:
    found = list(_QUANTIZATION.finditer(PurePosixPath(whole).stem))
    if not found:
        return GgufModel(whole, files, None, whole)
    word = found[-1][0]
    return GgufModel(whole, files, word, whole.replace(word, PLACEHOLDER))
