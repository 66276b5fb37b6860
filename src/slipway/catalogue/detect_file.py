"""What a model in one file is, from its header: GGUF, whole, in parts or inside a llamafile, or ggmlv3."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.catalogue.config import abilities_of, tool_parser_of
from slipway.errors import BadModelFile
from slipway.formats.ggml import GgmlHeader, read_ggml, starts_as_ggml
from slipway.formats.gguf import GgufHeader, read_gguf
from slipway.formats.magic import GGUF_MAGIC, describe_file, open_weights
from slipway.formats.pieces import gguf_shards, pieces_of, read_pieces
from slipway.types import Ability, Architecture, Format

UNKNOWN_CONTEXT = 2048  # where a file does not say: what the smallest decoders in use were trained on
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-\d{5}\.gguf", re.IGNORECASE)
_MAX_NUMBER = 1 << 40
# The class in config.json for each general.architecture of a GGUF; others keep the GGUF's own name.
_GGUF_CLASSES: Mapping[str, str] = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2vl": "Qwen2VLForConditionalGeneration",
    "qwen2moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3moe": "Qwen3MoeForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "glm4": "Glm4ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "gpt-oss": "GptOssForCausalLM",
}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a local model's files say it is. ``path`` is what an engine is given: the file, or the directory."""

    path: Path
    name: str
    architecture: Architecture
    format: Format
    quantization: str  # as the catalogue writes it: none, Int4, Int8, 4-bit, 8-bit, or llama.cpp's: q4_k_m
    context_length: int
    abilities: tuple[Ability, ...]
    parameters: int
    weights_bytes: int
    chat_template_present: bool
    tool_parser: str | None = None  # in the engines' words, where the template's way of writing calls is a known one


def detect_file(path: Path) -> Detected:
    """Detect the model in a file. Raises BadModelFile, saying what else it looks like."""
    pieces = pieces_of(path)
    if pieces is not None:
        return _gguf(path, pieces.name, [read_pieces(pieces)])
    if starts_as_ggml(path):
        return _ggml(read_ggml(path))
    if path.suffix.lower() != ".gguf" and not _starts_as_gguf(path):
        raise BadModelFile(
            f"{path} is not a model that can be launched: it looks like {describe_file(path)}; "
            "give a GGUF, ggmlv3 or llamafile file, or the directory of a checkpoint"
        )
    shards = gguf_shards(path)
    return _gguf(shards[0], path.name, [read_gguf(shard) for shard in shards])


def _gguf(path: Path, file_name: str, headers: Sequence[GgufHeader]) -> Detected:
    first = headers[0]
    if first.split_count != len(headers):
        raise BadModelFile(
            f"{path} says it is one of {first.split_count} parts; they are found by their names, "
            f"name-00001-of-{first.split_count:05}.gguf and so on: give the parts the names they had"
        )
    if first.own("pooling_type"):
        raise BadModelFile(f"{path} is an embedding model: chat and text generation are served, embeddings are not yet")
    template = first.chat_template
    return Detected(
        path=path,
        name=name_from(first.text("general.name") or stem_of(Path(file_name))),
        architecture=_gguf_architecture(first, headers),
        format=Format.GGUF,
        quantization=first.quantization,
        context_length=first.own("context_length") or UNKNOWN_CONTEXT,
        abilities=abilities_of(template, sees=False),
        parameters=sum(header.parameters for header in headers),
        weights_bytes=sum(header.weights_bytes for header in headers),
        chat_template_present=template is not None,
        tool_parser=tool_parser_of(template),
    )


def _ggml(header: GgmlHeader) -> Detected:
    """ggmlv3 stores neither a context length nor a chat template: the family's are used where one is named."""
    numbers = header.numbers
    return Detected(
        path=header.path,
        name=name_from(header.path.stem),
        architecture=Architecture(
            name="LlamaForCausalLM",
            layers=numbers.layers,
            hidden=numbers.width,
            heads=numbers.heads,
            kv_heads=header.kv_heads,
            intermediate=header.feed_forward,
            vocab=numbers.vocabulary,
        ),
        format=Format.GGML,
        quantization=header.quantization,
        context_length=UNKNOWN_CONTEXT,
        abilities=(Ability.GENERATE,),
        parameters=header.parameters,
        weights_bytes=header.weights_bytes,
        chat_template_present=False,
    )


def _gguf_architecture(first: GgufHeader, headers: Sequence[GgufHeader]) -> Architecture:
    tensors = {tensor.name for header in headers for tensor in header.tensors}
    heads = first.own("attention.head_count") or 0
    numbers = {
        "block_count": first.own("block_count") or 0,
        "embedding_length": first.own("embedding_length") or 0,
        "attention.head_count": heads,
        "vocabulary": first.vocabulary or 0,
    }
    absent = [key for key, value in numbers.items() if not 0 < value < _MAX_NUMBER]
    if absent:
        raise BadModelFile(
            f"{first.path} is not a language model that can be launched: its architecture is {first.architecture!r} "
            f"and it does not say its {', '.join(absent)}"
        )
    return Architecture(
        name=_GGUF_CLASSES.get(first.architecture, first.architecture),
        layers=numbers["block_count"],
        hidden=numbers["embedding_length"],
        heads=heads,
        kv_heads=first.own("attention.head_count_kv") or heads,
        intermediate=first.own("feed_forward_length") or 0,
        vocab=numbers["vocabulary"],
        head_dim=first.own("attention.key_length") or 0,
        tied="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
    )


def stem_of(path: Path) -> str:
    """The name of a GGUF file without its ending, and of a shard without its number."""
    shard = _SHARD.fullmatch(path.name)
    return shard["stem"] if shard else path.stem


def name_from(text: str) -> str:
    """A name that can be a uid: the letters, digits and . _ - of ``text``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "model"


def _starts_as_gguf(path: Path) -> bool:
    with open_weights(path) as file:
        return file.read(4) == GGUF_MAGIC
