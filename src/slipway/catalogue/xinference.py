"""Xinference's JSON schema for custom LLMs, versions 1 and 2, read into a Family.

Version 1 lists a spec's quantizations; version 2 writes a spec for each, or a ``model_src`` with a table for each hub.
What asks nothing of a launch here (stop words, virtual environments, …) is accepted and left aside.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slipway.catalogue import rules
from slipway.catalogue.document import Document, Table
from slipway.types import Ability, Architecture, Family, Format, Hub, Source, Spec

_DEFAULT_CONTEXT_LENGTH = 2048  # what Xinference takes where none is given

_FAMILY_NAMES = {
    "name": "model_name",
    "languages": "model_lang",
    "abilities": "model_ability",
    "description": "model_description",
    "specs": "model_specs",
}
_SPEC_NAMES = {
    "format": "model_format",
    "size": "model_size_in_billions",
    "repository": "model_id",
    "path": "model_uri",
    "file": "model_file_name_template",
    "split_file": "model_file_name_split_template",
    "parts": "quantization_parts",
    "revision": "model_revision",
}
_FAMILY_KEYS = (
    *_FAMILY_NAMES.values(),
    *("version", "context_length", "model_family", "chat_template", "tool_parser", "architectures"),
    *("prompt_style", "stop", "stop_token_ids", "reasoning_start_tag", "reasoning_end_tag", "cache_config"),
    *("virtualenv", "is_builtin", "featured", "updated_at", "model_type", "address", "accelerators"),
    *("multimodal_projector", "model_hub"),
)
_SPEC_KEYS = (
    *_SPEC_NAMES.values(),
    *("quantization", "quantizations", "model_hub", "model_src", "multimodal_projectors"),
    *("activated_size_in_billions", "cache_config"),
)
_UNUSED_ABILITIES = frozenset({"embed", "reasoning", "hybrid", "audio", "omni"})
_TOOL_PARSERS = {"qwen": "hermes"}  # Xinference's name -> the engines'
_TEMPLATED = ("{%", "{{")


def is_xinference(document: Document) -> bool:
    return "model_name" in document.values or "model_specs" in document.values


def family_from_xinference(document: Document, known: Mapping[str, Family]) -> Family:
    """Read a version 1 or 2 file. Raises InvalidFamily naming file, line and key.

    ``model_family`` may name one of ``known``: its template, tool parser and architectures are taken where they fit.
    """
    table = document.root(_FAMILY_NAMES)
    table.check_keys(_FAMILY_KEYS)
    if table.value("version") not in {1, 2}:
        raise table.fault("version", f"is {table.value('version')!r}: expected 1 or 2")
    parent = known.get(table.optional_text("model_family") or "")
    of_parent = () if parent is None else reversed(parent.specs)  # the first of a size is the plain checkpoint
    shapes = {spec.size: spec.architecture for spec in of_parent}
    parser = table.optional_text("tool_parser") or (parent.tool_parser if parent else None)
    family = Family(
        name=rules.read_name(table),
        context_length=table.optional_count("context_length") or _DEFAULT_CONTEXT_LENGTH,
        languages=table.texts("languages"),
        abilities=_abilities(table),
        description=table.optional_text("description") or "",
        specs=tuple(_spec(each, shapes) for each in table.tables("specs", _SPEC_NAMES)),
        tool_parser=_TOOL_PARSERS.get(parser, parser) if parser else None,
        chat_template=_chat_template(table, known) or (parent.chat_template if parent else None),
        builtin=False,
    )
    rules.check_family(table, family)
    return family


def _abilities(table: Table) -> tuple[Ability, ...]:
    served = [each for each in table.texts("abilities") if each not in _UNUSED_ABILITIES]
    if not served:
        raise table.fault("abilities", "has none that is served here: " + ", ".join(Ability))
    return tuple(rules.choice(table, "abilities", each, Ability) for each in served)


def _chat_template(table: Table, known: Mapping[str, Family]) -> str | None:
    """A template, or the name of a family whose template is meant."""
    text = table.optional_text("chat_template")
    if text is None or any(mark in text for mark in _TEMPLATED):
        return text
    if text not in known:
        raise table.fault("chat_template", f"is {text!r}: neither a template nor a family with one")
    return known[text].chat_template


def _spec(table: Table, shapes: Mapping[str, Architecture | None]) -> Spec:
    table.check_keys(_SPEC_KEYS)
    kind, size = rules.choice(table, "format", table.text("format"), Format), rules.read_size(table)
    kept = _places(table)
    quantizations = tuple(dict.fromkeys(each for _, own in kept for each in _quantizations(own)))
    bare = Spec(kind, size, quantizations, "", (), shapes.get(size))
    sources = tuple(_source(own, hub, bare) for hub, own in kept)
    model_id = table.optional_text("repository") or sources[0].repository
    spec = replace(bare, sources=sources, model_id=model_id)
    rules.check_spec(table, spec)
    return spec


def _places(table: Table) -> list[tuple[Hub, Table]]:
    """The hubs a spec is kept on, each with the table that describes it: the spec's own, or one of ``model_src``."""
    if "model_src" in table:
        sources = table.table("model_src")
        names = [rules.choice(sources, name, name, Hub) for name in sources.values]
        if not names:
            raise table.fault("model_src", "is empty: give at least one hub")
        return [(hub, sources.table(hub, _SPEC_NAMES, within=table)) for hub in names]
    if "path" in table:
        return [(Hub.LOCAL, table)]
    hub = table.optional_text("model_hub") or Hub.HUGGINGFACE
    return [(rules.choice(table, "model_hub", hub, Hub), table)]


def _quantizations(table: Table) -> tuple[str, ...]:
    return (table.text("quantization"),) if "quantization" in table else table.texts("quantizations")


def _source(table: Table, hub: Hub, spec: Spec) -> Source:
    file, revision = table.optional_text("file"), table.optional_text("revision")
    quantizations = _quantizations(table)
    if hub is Hub.LOCAL:
        source = Source(hub, _local_path(table, file), quantizations)
    else:
        source = Source(hub, table.text("repository"), quantizations, file, _parts(table, quantizations), revision)
    rules.check_source(table, spec, source)
    return source


def _local_path(table: Table, file: str | None) -> str:
    """``file:///path`` or a plain path; a directory is joined with the file's name where the format has one."""
    given = table.text("path")
    address = urlsplit(given)
    if address.scheme not in {"", "file"} or address.netloc not in {"", "localhost"}:
        raise table.fault("path", f"is {given!r}: only paths on this machine are read, file:///…")
    path = Path(unquote(address.path) if address.scheme else given).expanduser()
    if not path.is_absolute():
        raise table.fault("path", f"is {given!r}: expected an absolute path")
    return str(path if file is None or path.suffix in {".gguf", ".bin"} else path / file)


def _parts(table: Table, quantizations: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The names of split files: ``model_file_name_split_template`` filled with each part's name."""
    if "parts" not in table:
        return {}
    template, parts = table.text("split_file"), table.table("parts")
    return {
        quantization: tuple(
            template.replace("{quantization}", quantization).replace("{part}", part)
            for part in parts.texts(quantization)
        )
        for quantization in quantizations
        if quantization in parts
    }
