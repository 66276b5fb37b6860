"""What a model on this machine is, from its own files: `--model-path` with a GGUF file or a checkpoint directory.

Only headers and JSON are read; no weights, no pickle, no code of the model's. Readers are in `slipway.formats`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.catalogue.config import abilities_of, architecture_of, context_length_of, quantization_of
from slipway.errors import BadModelFile
from slipway.formats.gguf import GgufHeader, read_gguf
from slipway.formats.magic import GGUF_MAGIC, describe_file, open_weights
from slipway.formats.safetensors import Checkpoint, read_checkpoint
from slipway.types import Ability, Architecture, Family, Format, Hub, Source, Spec

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_MAX_JSON = 64 * 1024**2
_MAX_NUMBER = 1 << 40
_UNKNOWN_CONTEXT = 2048  # where a file does not say: what the smallest decoders in use were trained on
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


def detect(path: Path) -> Detected:
    """Detect the model at ``path``: a GGUF file (of a split one, any part), a directory with one, or a checkpoint.

    Raises BadModelFile in a sentence: nothing there, pickles only, remote code, truncated or missing files.
    """
    path = path.expanduser().absolute()
    try:
        return _detect(path)
    except OSError as error:
        raise BadModelFile(f"{path} cannot be read: {error.strerror or error}") from None


def as_family(detected: Detected, name: str | None = None) -> Family:
    """A one-spec family for a model that is in no catalogue, named ``name`` or after its files."""
    spec = Spec(
        format=detected.format,
        size=size_in_billions(detected.parameters),
        quantizations=(detected.quantization,),
        model_id=str(detected.path),
        sources=(Source(Hub.LOCAL, str(detected.path), (detected.quantization,)),),
        architecture=detected.architecture,
    )
    return Family(
        name=name or detected.name,
        context_length=detected.context_length,
        languages=("en",),
        abilities=detected.abilities,
        description=f"{detected.architecture.name} detected at {detected.path}.",
        specs=(spec,),
        builtin=False,
    )


def size_in_billions(parameters: int) -> str:
    """Parameters as the catalogue writes sizes: 494 million ``0_5``, 7.6 billion ``8``, 5 million ``0_005``."""
    billions = parameters / 1e9
    if billions >= 2.95:
        return str(round(billions))
    digits = 1 if billions >= 0.095 else 3 if billions >= 0.00095 else 6
    return (f"{billions:.{digits}f}".rstrip("0").rstrip(".") or "0").replace(".", "_")


def _detect(path: Path) -> Detected:
    if not path.exists():
        raise BadModelFile(f"{path} does not exist: give a GGUF file or a checkpoint directory")
    if path.is_dir():
        return _detect_directory(path)
    if path.suffix.lower() != ".gguf" and not _starts_as_gguf(path):
        raise BadModelFile(
            f"{path} is not a model that can be launched: it looks like {describe_file(path)}; "
            "give a GGUF file, or the directory of a checkpoint"
        )
    return _detect_gguf(path)


# ---------------------------------------------------------------- GGUF


def _detect_gguf(path: Path) -> Detected:
    headers = [read_gguf(part) for part in gguf_parts(path)]
    first = headers[0]
    if first.split_count != len(headers):
        raise BadModelFile(
            f"{path} says it is one of {first.split_count} parts; they are found by their names, "
            f"name-00001-of-{first.split_count:05}.gguf and so on: give the parts the names they had"
        )
    template = first.chat_template
    return Detected(
        path=first.path,
        name=_name(first.text("general.name") or _stem(path)),
        architecture=_gguf_architecture(first, headers),
        format=Format.GGUF,
        quantization=first.quantization,
        context_length=first.own("context_length") or _UNKNOWN_CONTEXT,
        abilities=abilities_of(template, sees=False),
        parameters=sum(header.parameters for header in headers),
        weights_bytes=sum(header.weights_bytes for header in headers),
        chat_template_present=template is not None,
    )


def gguf_parts(path: Path) -> tuple[Path, ...]:
    """All files of the GGUF model that ``path`` belongs to, in order. Raises BadModelFile if one is missing."""
    part = _PART.fullmatch(path.name)
    if part is None:
        return (path,)
    count = max(int(part["count"]), 1)
    paths = tuple(path.with_name(f"{part['stem']}-{n + 1:05}-of-{part['count']}.gguf") for n in range(count))
    missing = [each.name for each in paths if not each.exists()]
    if missing:
        raise BadModelFile(
            f"{path} is one of {count} parts, and {len(missing)} are not beside it: {', '.join(missing[:5])}"
        )
    return paths


def _gguf_architecture(first: GgufHeader, headers: list[GgufHeader]) -> Architecture:
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


def _starts_as_gguf(path: Path) -> bool:
    with open_weights(path) as file:
        return file.read(4) == GGUF_MAGIC


def _stem(path: Path) -> str:
    part = _PART.fullmatch(path.name)
    return part["stem"] if part else path.stem


# ---------------------------------------------------------------- directories


def _detect_directory(directory: Path) -> Detected:
    ggufs = [path for path in sorted(directory.glob("*.gguf")) if not path.name.lower().startswith("mmproj")]
    has_safetensors = any(directory.glob("*.safetensors"))
    if (directory / "config.json").is_file() and (has_safetensors or not ggufs):
        return _detect_checkpoint(directory)
    models = {_stem(path): path for path in reversed(ggufs)}
    if len(models) == 1:
        return _detect_gguf(next(iter(models.values())))
    if models:
        names = ", ".join(path.name for path in sorted(models.values()))
        raise BadModelFile(f"{directory} holds several GGUF models ({names}): give the path of one")
    if has_safetensors:
        raise BadModelFile(f"{directory} has no config.json, so its safetensors cannot be understood; add it")
    raise _no_model(directory)


def _no_model(directory: Path) -> BadModelFile:
    pickles = sorted(path.name for path in directory.iterdir() if path.suffix.lower() in _PICKLES)
    if pickles:
        return BadModelFile(
            f"{directory} holds its weights only as pickles ({', '.join(pickles[:3])}), which run code when loaded "
            "and are refused; use a safetensors or GGUF edition of the model"
        )
    return BadModelFile(f"{directory} holds no model: expected a GGUF file, or config.json with .safetensors files")


def _detect_checkpoint(directory: Path) -> Detected:
    config = _json(directory / "config.json")
    if not any(directory.glob("*.safetensors")) and not (directory / "model.safetensors.index.json").exists():
        raise _no_model(directory)
    checkpoint = read_checkpoint(directory)
    architecture = architecture_of(config, checkpoint.tensors, directory)
    format_, quantization = quantization_of(_with_old_quantization(directory, config), directory)
    template = _chat_template(directory)
    return Detected(
        path=directory,
        name=_name(directory.resolve().name),
        architecture=architecture,
        format=format_,
        quantization=quantization,
        context_length=context_length_of(config) or _UNKNOWN_CONTEXT,
        abilities=abilities_of(template, sees="vision_config" in config),
        parameters=_parameters(checkpoint, architecture, quantization),
        weights_bytes=checkpoint.weights_bytes,
        chat_template_present=template is not None,
    )


def _parameters(checkpoint: Checkpoint, architecture: Architecture, quantization: str) -> int:
    """Counted where tensors hold one weight an element; packed ones are counted from the architecture."""
    if quantization == "none":
        return checkpoint.parameters
    shape = architecture
    attention = shape.hidden * shape.head_size * (shape.heads + shape.kv_heads) * 2
    per_layer = attention + 3 * shape.hidden * shape.intermediate
    tables = shape.vocab * shape.hidden * (1 if shape.tied else 2)
    return shape.layers * per_layer + tables + shape.extra_parameters


def _with_old_quantization(directory: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Older GPTQ and AWQ checkpoints keep their settings in a file of their own."""
    if "quantization_config" in config:
        return config
    if (directory / "quantize_config.json").is_file():
        return {**config, "quantization_config": {"quant_method": "gptq", **_json(directory / "quantize_config.json")}}
    if (directory / "quant_config.json").is_file():
        return {**config, "quantization_config": {"quant_method": "awq", **_json(directory / "quant_config.json")}}
    return config


def _chat_template(directory: Path) -> str | None:
    jinja = directory / "chat_template.jinja"
    if jinja.is_file():
        return jinja.read_text(encoding="utf-8", errors="replace")
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = directory / name
        template = _json(path).get("chat_template") if path.is_file() else None
        if isinstance(template, list):  # several, by name
            named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
            template = named.get("tool_use") or named.get("default")
        if isinstance(template, str) and template:
            return template
    return None


def _json(path: Path) -> dict[str, Any]:
    with open_weights(path) as file:
        text = file.read(_MAX_JSON)
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModelFile(f"{path} is not JSON ({error}); fetch it again") from None
    if not isinstance(read, dict):
        raise BadModelFile(f"{path} is not a JSON object; fetch it again")
    return read


def _name(text: str) -> str:
    """A name that can be a uid: the letters, digits and . _ - of ``text``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64] or "model"
