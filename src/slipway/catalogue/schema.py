"""Slipway's own family schema, the same in TOML and JSON: `docs/families.md` describes it key by key."""

from collections.abc import Mapping
from dataclasses import replace

from slipway.catalogue import rules
from slipway.catalogue.document import Document, Table
from slipway.types import Ability, Architecture, Family, Format, Hub, Source, Spec

_FAMILY_KEYS = (
    "name",
    "context_length",
    "languages",
    "abilities",
    "description",
    "tool_parser",
    "reasoning_parser",
    "chat_template",
    "architecture",
    "specs",
)
_SHAPE_COUNTS = ("layers", "hidden", "heads", "kv_heads", "intermediate", "vocab")
_SHAPE_KEYS = ("name", *_SHAPE_COUNTS, "head_dim", "tied", "qkv_bias", "extra_parameters")
_HUB_KEYS = ("repository", "quantizations", "file", "parts", "revision")
_LOCAL_KEYS = ("path", "quantizations")
_SPEC_KEYS = ("format", "size", "quantizations", "model_id", "file", "parts", "revision", "tied", "weights_bytes", *Hub)

_ANY_SIZE = ""


def family_from(document: Document, *, builtin: bool = False) -> Family:
    """Read a family. Raises InvalidFamily naming file, line and key."""
    table = document.root()
    table.check_keys(_FAMILY_KEYS)
    name = rules.read_name(table)
    context_length = table.count("context_length")
    languages = table.texts("languages")
    abilities = tuple(rules.choice(table, "abilities", each, Ability) for each in table.texts("abilities"))
    shapes = _architectures(table)
    family = Family(
        name=name,
        context_length=context_length,
        languages=languages,
        abilities=abilities,
        description=table.optional_text("description") or "",
        specs=tuple(_spec(each, shapes, builtin) for each in table.tables("specs")),
        tool_parser=table.optional_text("tool_parser"),
        reasoning_parser=table.optional_text("reasoning_parser"),
        chat_template=table.optional_text("chat_template"),
        builtin=builtin,
    )
    rules.check_family(table, family)
    _check_sizes(table, family, shapes)
    return family


def _architectures(table: Table) -> Mapping[str, Architecture]:
    """Sizes to shapes; what ``[architecture]`` itself holds is shared by its sizes, or is the shape of every size."""
    if "architecture" not in table:
        return {}
    shared = table.table("architecture")
    shared.check_keys((*_SHAPE_KEYS, "sizes"))
    if "sizes" not in shared:
        return {_ANY_SIZE: _architecture(shared)}
    sizes = shared.table("sizes")
    return {size: _architecture(_sized(sizes, size, shared)) for size in sizes.values}


def _sized(sizes: Table, size: str, shared: Table) -> Table:
    own = sizes.table(size, within=shared)
    own.check_keys(_SHAPE_KEYS)
    return own


def _architecture(table: Table) -> Architecture:
    layers, hidden, heads, kv_heads, intermediate, vocab = (table.count(key) for key in _SHAPE_COUNTS)
    shape = Architecture(
        name=table.text("name"),
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        intermediate=intermediate,
        vocab=vocab,
        head_dim=table.optional_count("head_dim"),
        tied=table.flag("tied"),
        qkv_bias=table.flag("qkv_bias"),
        extra_parameters=table.optional_count("extra_parameters"),
    )
    rules.check_architecture(table, shape)
    return shape


def _spec(table: Table, shapes: Mapping[str, Architecture], builtin: bool) -> Spec:
    table.check_keys(_SPEC_KEYS)
    kind, size = rules.choice(table, "format", table.text("format"), Format), rules.read_size(table)
    quantizations = table.texts("quantizations")
    hubs = [hub for hub in Hub if hub in table]
    if not hubs:
        raise table.fault("huggingface", "is missing: say where the spec is kept: " + ", ".join(Hub))
    for key in ("file", "parts", "revision") if hubs == [Hub.LOCAL] else ():
        if key in table:
            raise table.fault(key, "goes with a hub's repository; local is the whole path already")
    shape = shapes.get(size) or shapes.get(_ANY_SIZE)
    if shape is not None and "tied" in table:
        shape = replace(shape, tied=table.flag("tied"))  # these files keep, or drop, a head of their own
    bare = Spec(kind, size, quantizations, "", (), shape)
    sources = tuple(_source(table, hub, bare, builtin) for hub in hubs)
    weights = _weights_bytes(table, quantizations)
    model_id = table.optional_text("model_id") or sources[0].repository
    spec = replace(bare, sources=sources, model_id=model_id, weights_bytes=weights)
    rules.check_spec(table, spec)
    return spec


def _weights_bytes(table: Table, quantizations: tuple[str, ...]) -> dict[str, int]:
    if "weights_bytes" not in table:
        return {}
    sizes = table.table("weights_bytes")
    sizes.check_keys(quantizations)
    return {quantization: sizes.count(quantization) for quantization in sizes.values}


def _source(table: Table, hub: Hub, spec: Spec, builtin: bool) -> Source:
    """A hub is a text, its repository or path, or a table. What a hub's table leaves out is the spec's."""
    place = "path" if hub is Hub.LOCAL else "repository"
    if isinstance(table.value(hub), str):
        own = Table(table.document, table.path, {hub: table.text(hub)}, {place: hub}, table)
    else:
        own = table.table(hub, within=table)
        own.check_keys(_LOCAL_KEYS if hub is Hub.LOCAL else _HUB_KEYS)
    quantizations = own.texts("quantizations")
    if hub is Hub.LOCAL:
        source = Source(hub, own.text("path") if builtin else rules.read_path(own), quantizations)
    else:
        parts = _parts(own, spec, quantizations)
        file, revision = own.optional_text("file"), own.optional_text("revision")
        source = Source(hub, own.text("repository"), quantizations, file, parts, revision)
    rules.check_source(own, spec, source)
    return source


def _parts(own: Table, spec: Spec, quantizations: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The split files of the quantizations this hub has; the spec's parts may name those of other hubs too."""
    if "parts" not in own:
        return {}
    table = own.table("parts")
    elsewhere = set(spec.quantizations) - set(quantizations) if "parts" not in own.values else set()
    return {key: table.texts(key) for key in table.values if key not in elsewhere}


def _check_sizes(table: Table, family: Family, shapes: Mapping[str, Architecture]) -> None:
    used = {spec.size for spec in family.specs}
    for size in shapes:
        if size != _ANY_SIZE and size not in used:
            sizes = table.table("architecture").table("sizes")
            raise sizes.fault(size, "no spec has this size; there are: " + ", ".join(sorted(used)))
