"""What a model on this machine is, from its own files: `--model-path` with a file of weights or a checkpoint directory.

Files are left to `detect_file` beside it. Only headers and JSON are read: no weights, no pickle, no code of a model.
Readers are in `slipway.formats`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slipway.catalogue.config import abilities_of, architecture_of, context_length_of, quantization_of, tool_parser_of
from slipway.catalogue.detect_file import UNKNOWN_CONTEXT, Detected, detect_file, name_from, stem_of
from slipway.errors import BadModelFile
from slipway.formats.magic import open_weights
from slipway.formats.safetensors import Checkpoint, read_checkpoint
from slipway.types import Architecture, Family, Hub, Source, Spec

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_MAX_JSON = 64 * 1024**2


def detect(path: Path) -> Detected:
    """Detect the model at ``path``: a file (of a split one, any part), a directory with a GGUF, or a checkpoint.

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
        tool_parser=detected.tool_parser,
        builtin=False,
        detected_from=str(detected.path),
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
    return detect_file(path)


# ---------------------------------------------------------------- directories


def _detect_directory(directory: Path) -> Detected:
    ggufs = [path for path in sorted(directory.glob("*.gguf")) if not path.name.lower().startswith("mmproj")]
    has_safetensors = any(directory.glob("*.safetensors"))
    if (directory / "config.json").is_file() and (has_safetensors or not ggufs):
        return _detect_checkpoint(directory)
    models = {stem_of(path): path for path in reversed(ggufs)}
    if len(models) == 1:
        return detect_file(next(iter(models.values())))
    if models:
        names = ", ".join(path.name for path in sorted(models.values()))
        raise BadModelFile(f"{directory} holds several GGUF models ({names}): give the path of one")
    if has_safetensors:
        raise BadModelFile(f"{directory} has no config.json, so its safetensors cannot be understood; add it")
    raise no_model(str(directory), [path.name for path in directory.iterdir()])


def no_model(where: str, names: Iterable[str]) -> BadModelFile:
    """The error for a directory or repository without weights that can be loaded."""
    pickles = sorted(name for name in names if Path(name).suffix.lower() in _PICKLES)
    if pickles:
        return BadModelFile(
            f"{where} holds its weights only as pickles ({', '.join(pickles[:3])}), which run code when loaded "
            "and are refused; use a safetensors or GGUF edition of the model"
        )
    return BadModelFile(f"{where} holds no model: expected a GGUF file, or config.json with .safetensors files")


def _detect_checkpoint(directory: Path) -> Detected:
    config = _json(directory / "config.json")
    if not any(directory.glob("*.safetensors")) and not (directory / "model.safetensors.index.json").exists():
        raise no_model(str(directory), [path.name for path in directory.iterdir()])
    checkpoint = read_checkpoint(directory)
    architecture = architecture_of(config, checkpoint.tensors, directory)
    format_, quantization = quantization_of(_with_old_quantization(directory, config), directory)
    template = _chat_template(directory)
    return Detected(
        path=directory,
        name=name_from(directory.resolve().name),
        architecture=architecture,
        format=format_,
        quantization=quantization,
        context_length=context_length_of(config) or UNKNOWN_CONTEXT,
        abilities=abilities_of(template, sees="vision_config" in config),
        parameters=_parameters(checkpoint, architecture, quantization),
        weights_bytes=checkpoint.weights_bytes,
        chat_template_present=template is not None,
        tool_parser=tool_parser_of(template),
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
