"""The files a launch names beside its model: LoRA adapters, a draft model. Looked at before anything is started.

They are files of this machine, in the form that the engine reads; pickles and code are refused as they are of models.
"""

from dataclasses import replace
from pathlib import Path

from slipway.catalogue.config import refuse_code
from slipway.engines.launching import NGRAM
from slipway.errors import BadModelFile, BadRequest
from slipway.formats.gguf import read_gguf
from slipway.formats.safetensors import read_checkpoint, read_safetensors
from slipway.types import Features, Format, Model

_ADAPTER, _ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


def measured(features: Features, model: Model) -> Features:
    """The features with the bytes of their files. Raises BadRequest naming the flag, BadModelFile for a bad file."""
    total = sum(_adapter_bytes(Path(path), _is_gguf(model)) for _, path in features.lora)
    if features.draft_tokens is not None and features.draft_model is None:
        raise BadRequest("--draft-tokens needs a --draft-model", param="draft_tokens")
    if features.draft_model not in (None, NGRAM):
        total += _draft_bytes(Path(str(features.draft_model)), _is_gguf(model))
    return replace(features, companions_bytes=total)


def _is_gguf(model: Model) -> bool:
    return model.format in {Format.GGUF, Format.GGML}


def _adapter_bytes(path: Path, gguf: bool) -> int:
    if gguf:
        header = read_gguf(_here(path, "--lora-modules", "a GGUF adapter", path.is_file()))
        if header.text("general.type") != "adapter":
            raise BadModelFile(f"{path} is a model, not a LoRA adapter (general.type)", param="lora_modules")
        return header.weights_bytes
    weights = path / _ADAPTER
    whole = weights.is_file() and (path / _ADAPTER_CONFIG).is_file()
    _here(path, "--lora-modules", f"a directory with {_ADAPTER_CONFIG} and {_ADAPTER}", whole)
    read_safetensors(weights)
    return weights.stat().st_size


def _draft_bytes(path: Path, gguf: bool) -> int:
    if gguf:
        return read_gguf(_here(path, "--draft-model", "a GGUF file", path.is_file())).weights_bytes
    _here(path, "--draft-model", "a directory with a checkpoint", (path / "config.json").is_file())
    refuse_code(path)
    return read_checkpoint(path).weights_bytes


def _here(path: Path, flag: str, what: str, true: bool) -> Path:
    if not path.is_absolute() or not true:
        raise BadRequest(f"{flag} is {path}: expected {what}, by its full path on the server's machine")
    return path
