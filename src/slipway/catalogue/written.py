"""A family as the text of a family file in Slipway's own schema: what `slipway register --from` writes."""

import json
from collections.abc import Iterable, Iterator, Mapping

from slipway.types import Architecture, Family, Hub, Source, Spec

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def family_text(family: Family) -> str:
    """The TOML that `catalogue.schema` reads back as the same family."""
    return "\n".join(_lines(family)) + "\n"


def _lines(family: Family) -> Iterator[str]:
    yield f"# Detected from {family.detected_from}." if family.detected_from else "# A family of your own."
    yield f"name = {_text(family.name)}"
    yield f"context_length = {family.context_length}"
    yield f"languages = {_texts(family.languages)}"
    yield f"abilities = {_texts(family.abilities)}"
    for key in ("description", "tool_parser", "reasoning_parser", "chat_template"):
        value = getattr(family, key)
        if value:
            yield f"{key} = {_text(value)}"
    shapes = {spec.size: spec.architecture for spec in family.specs if spec.architecture is not None}
    if shapes:
        name = next(iter(shapes.values())).name
        yield from ("", "[architecture]", f"name = {_text(name)}", "", "[architecture.sizes]")
        yield from (f"{_key(size)} = {_shape(shape, name)}" for size, shape in shapes.items())
    for spec in family.specs:
        yield from ("", "[[specs]]", *_spec(spec, shapes))


def _shape(shape: Architecture, shared_name: str) -> str:
    counts = {key: getattr(shape, key) for key in ("layers", "hidden", "heads", "kv_heads", "intermediate", "vocab")}
    extra = {key: getattr(shape, key) for key in ("head_dim", "extra_parameters") if getattr(shape, key)}
    flags = {key: "true" for key in ("tied", "qkv_bias") if getattr(shape, key)}
    named = {} if shape.name == shared_name else {"name": _text(shape.name)}
    return _table({**named, **counts, **extra, **flags})


def _spec(spec: Spec, shapes: Mapping[str, Architecture]) -> Iterator[str]:
    yield f"format = {_text(spec.format)}"
    yield f"size = {_text(spec.size)}"
    yield f"quantizations = {_texts(spec.quantizations)}"
    shared = shapes.get(spec.size)
    if spec.architecture is not None and shared is not None and spec.architecture.tied is not shared.tied:
        yield f"tied = {str(spec.architecture.tied).lower()}"
    if spec.weights_bytes:
        yield f"weights_bytes = {_table(spec.weights_bytes)}"
    for source in spec.sources:
        yield f"{source.hub} = {_source(source)}"


def _source(source: Source) -> str:
    place = "path" if source.hub is Hub.LOCAL else "repository"
    fields: dict[str, object] = {place: _text(source.repository), "quantizations": _texts(source.quantizations)}
    if source.file is not None:
        fields["file"] = _text(source.file)
    if source.parts:
        fields["parts"] = _table({name: _texts(files) for name, files in source.parts.items()})
    if source.revision is not None:
        fields["revision"] = _text(source.revision)
    return _table(fields)


def _table(fields: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{_key(name)} = {value}" for name, value in fields.items()) + " }"


def _key(name: str) -> str:
    return name if name and set(name) <= _PLAIN else _text(name)


def _texts(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's, but that it writes DEL as it is."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
