"""What makes a family well formed beyond the types of its keys: the rules shared by every kind of family file.

Each check raises InvalidFamily through the table that the data came from, so with the line and key at fault.
"""

import re
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeVar

from slipway.catalogue.document import Table
from slipway.errors import UnknownName
from slipway.types import Ability, Architecture, Family, Format, Hub, Source, Spec

ONE_FILE_FORMATS = frozenset({Format.GGUF, Format.GGML})
PLACEHOLDER = "{quantization}"

Choice = TypeVar("Choice", bound=StrEnum)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SIZE = re.compile(r"(0|[1-9]\d*)(_\d*[1-9])?")
_REPOSITORY_PART = re.compile(r"[A-Za-z0-9{][A-Za-z0-9._{}-]*")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def read_name(table: Table) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.fault("name", f"is {name!r}: expected letters, digits and . _ -, at most 128, no leading sign")
    return name


def read_size(table: Table) -> str:
    """Billions of parameters as the pages write them: 7, "7", "0_5"."""
    value = table.value("size")
    size = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _SIZE.fullmatch(size) or size == "0":
        raise table.fault("size", f'is {value!r}: expected billions of parameters, such as "7", "1_8" or "0_5"')
    return size


def read_path(table: Table) -> str:
    """An absolute path on this machine; ``~`` is the home of whoever reads the file."""
    path = Path(table.text("path")).expanduser()
    if not path.is_absolute():
        raise table.fault("path", f"is {str(path)!r}: expected an absolute path, or one that starts with ~")
    return str(path)


def choice(table: Table, name: str, value: str, kind: type[Choice]) -> Choice:
    """One of ``kind``'s values, or a fault with the nearest of them and all that there are."""
    if value not in set(kind):
        raise table.fault(name, UnknownName(kind.__name__.lower(), value, kind).message)
    return kind(value)


def check_architecture(table: Table, shape: Architecture) -> None:
    if shape.heads % shape.kv_heads:
        raise table.fault("kv_heads", f"is {shape.kv_heads}: it has to divide heads ({shape.heads})")
    if not shape.head_dim and shape.hidden % shape.heads:
        raise table.fault("heads", f"is {shape.heads}: it has to divide hidden ({shape.hidden}), or give head_dim")


def check_source(table: Table, spec: Spec, source: Source) -> None:
    """``table`` holds the source's keys: a hub's own table, or the spec's where the hub is given as one text."""
    for quantization in source.quantizations:
        if quantization not in spec.quantizations:
            known = ", ".join(spec.quantizations)
            raise table.fault("quantizations", f"{source.hub} names {quantization!r}, the spec has: {known}")
    if source.hub is Hub.LOCAL:
        _check_placeholders(table, "path", source.repository)
    else:
        _check_repository(table, source)
    _check_files(table, spec.format, source)
    _check_one_for_each(table, spec.format, source)


def check_spec(table: Table, spec: Spec) -> None:
    kept = {quantization for source in spec.sources for quantization in source.quantizations}
    for quantization in spec.quantizations:
        if not _NAME.fullmatch(quantization):
            raise table.fault("quantizations", f"{quantization!r}: expected letters, digits and . _ -")
        if quantization not in kept:
            raise table.fault("quantizations", f"no hub has {quantization!r}; take it out, or add it to a hub")


def check_family(table: Table, family: Family) -> None:
    """Abilities that go together, and one spec for each format, size and quantization. Last, when all is built."""
    for ability in (Ability.TOOLS, Ability.VISION):
        if ability in family.abilities and Ability.CHAT not in family.abilities:
            raise table.fault("abilities", f"{ability} needs chat too")
    seen: dict[tuple[Format, str, str], int] = {}
    for position, (each, spec) in enumerate(zip(table.tables("specs"), family.specs, strict=False), start=1):
        for quantization in spec.quantizations:
            first = seen.setdefault((spec.format, spec.size, quantization.casefold()), position)
            if first != position:
                what = f"{spec.format} {spec.size} {quantization}"
                raise each.fault("quantizations", f"{what} is in spec {first} already; one of the two has to go")


def _check_repository(table: Table, source: Source) -> None:
    owner, _, name = source.repository.partition("/")
    if not (_REPOSITORY_PART.fullmatch(owner) and _REPOSITORY_PART.fullmatch(name)):
        raise table.fault("repository", f"is {source.repository!r}: expected owner/name, as the hub writes it")
    _check_placeholders(table, "repository", source.repository)
    if source.revision is not None and not _REVISION.fullmatch(source.revision):
        raise table.fault("revision", f"is {source.revision!r}: expected a branch, a tag or a commit")


def _check_files(table: Table, kind: Format, source: Source) -> None:
    if kind not in ONE_FILE_FORMATS:
        for key, value in (("file", source.file), ("parts", source.parts)):
            if value:
                raise table.fault(key, f"only ggufv2 and ggmlv3 are kept as named files; a {kind} checkpoint is not")
        return
    if source.hub is Hub.LOCAL:
        return
    if source.file is None:
        raise table.fault("file", f"is missing: {kind} needs the name of the file in {source.repository}")
    _check_file_name(table, "file", source.file)
    for quantization, parts in source.parts.items():
        if quantization not in source.quantizations:
            raise table.fault("parts", f"{source.hub} has no quantization {quantization!r}")
        for part in parts:
            _check_file_name(table, "parts", part)


def _check_one_for_each(table: Table, kind: Format, source: Source) -> None:
    """Quantizations are different files, except for plain checkpoints, which engines quantize as they load."""
    if kind is Format.PYTORCH or len(source.quantizations) == 1:
        return
    if PLACEHOLDER not in source.repository + (source.file or ""):
        key = "file" if source.file else "path" if source.hub is Hub.LOCAL else "repository"
        found = source.file or source.repository
        raise table.fault(key, f"is {found!r} for {len(source.quantizations)} quantizations: write {PLACEHOLDER} in it")


def _check_file_name(table: Table, key: str, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.name:
        raise table.fault(key, f"is {name!r}: expected a file's name inside the repository")
    _check_placeholders(table, key, name)


def _check_placeholders(table: Table, key: str, text: str) -> None:
    left = text.replace(PLACEHOLDER, "")
    if "{" in left or "}" in left:
        raise table.fault(key, f"is {text!r}: the only placeholder there is is {PLACEHOLDER}")
