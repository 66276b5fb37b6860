"""A checkpoint directory becomes a model in memory: safetensors of that directory only, and no code from it."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, BitsAndBytesConfig

from slipway.engines.transformers_server.arguments import Arguments
from slipway.engines.transformers_server.attention import NAME, NOT_OURS
from slipway.engines.transformers_server.shortcuts import shorten

log = logging.getLogger(__name__)

_SMALL_BYTES = 32 * 1024**2  # weights for which a second thread costs more than it brings
_ATTENDING = {"full_attention", "sliding_attention"}
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class Loaded:
    """``vocabulary``: the width of the logits; ``ends``: tokens that end a sequence."""

    model: Any
    vocabulary: int
    ends: frozenset[int]


def load(arguments: Arguments) -> Loaded:
    """Raises SystemExit in words if the checkpoint is not one that this server runs."""
    _check_files(arguments.model)
    _check_attention(arguments.attn_implementation)
    config = _config(arguments.model)
    kind = AutoModelForImageTextToText if getattr(config, "vision_config", None) else AutoModelForCausalLM
    try:
        model = kind.from_pretrained(arguments.model, config=config, **_options(arguments, config))
    except KeyError as error:  # a table of attention classes that does not know ours
        raise SystemExit(f"slipway: {config.model_type} {NOT_OURS} ({error})") from error
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f"slipway: {arguments.model} cannot be loaded: {error}") from error
    model.eval().requires_grad_(False)
    vocabulary = _vocabulary(model)
    weights = sum(each.nbytes for each in model.parameters())
    if arguments.device == "cpu" and weights < _SMALL_BYTES:
        torch.set_num_threads(1)
    if arguments.compile:
        log.warning("--compile has no effect: this server takes its shortcuts without a compiler")
    shorten(model)
    return Loaded(model, vocabulary, _ends(model))


def _check_files(directory: Path) -> None:
    if not (directory / "config.json").is_file():
        raise SystemExit(f"slipway: {directory} has no config.json: it is not a Transformers checkpoint")
    if not any(directory.glob("*.safetensors")):
        raise SystemExit(
            f"slipway: {directory} has no safetensors weights; pickled ones (.bin, .pt) can run code and are not read"
        )


def _check_attention(name: str | None) -> None:
    if name not in {None, "sdpa"}:
        raise SystemExit(f"slipway: attn_implementation {name} cannot batch sequences in this server: leave it out")


def _config(directory: Path) -> Any:
    kind = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind == "internvl_chat":
        raise SystemExit(
            f"slipway: {directory} is in OpenGVLab's own form, which needs code from the repository: convert it to the"
            " library's InternVLForConditionalGeneration first"
        )
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"slipway: {directory}/config.json is not understood: {error}") from error
    text = config.get_text_config()
    if others := set(getattr(text, "layer_types", None) or ()) - _ATTENDING:
        raise SystemExit(
            f"slipway: {kind} has layers that keep a state ({', '.join(others)}), which this server does not"
        )
    return config


def _options(arguments: Arguments, config: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "dtype": _DTYPES.get(arguments.dtype, "auto"),
        "device_map": {"": arguments.device},
        "attn_implementation": NAME,
        "use_safetensors": True,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    if getattr(config, "vision_config", None):
        options["attn_implementation"] = {"": "sdpa", "text_config": NAME, "vision_config": "sdpa"}
    stored = getattr(config, "quantization_config", None)
    if stored is not None:
        _mend_awq(stored)
        if arguments.quantize is not None:
            raise SystemExit(
                f"slipway: the checkpoint is quantized already; --quantize {arguments.quantize} is for others"
            )
    elif arguments.quantize is not None:
        options["quantization_config"] = _bitsandbytes(arguments)
    return options


def _bitsandbytes(arguments: Arguments) -> BitsAndBytesConfig:
    if arguments.quantize == "8-bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=arguments.quant_type,
        bnb_4bit_use_double_quant=arguments.double_quant,
        bnb_4bit_compute_dtype=_DTYPES.get(arguments.dtype, torch.bfloat16),
    )


def _mend_awq(stored: Any) -> None:
    """Released vision checkpoints spare the module ``visual`` from AWQ; the library calls it ``model.visual`` now."""
    if isinstance(stored, dict) and "visual" in (stored.get("modules_to_not_convert") or ()):
        stored["modules_to_not_convert"] = [*stored["modules_to_not_convert"], "model.visual"]


def _vocabulary(model: Any) -> int:
    """The logits' width, which may be more than the tokenizer's."""
    weight = getattr(model.get_output_embeddings(), "weight", None)
    size: int = model.config.get_text_config().vocab_size
    return size if weight is None or weight.dtype.itemsize == 1 else weight.shape[0]


def _ends(model: Any) -> frozenset[int]:
    for config in (model.generation_config, model.config.get_text_config()):
        found = getattr(config, "eos_token_id", None)
        if found is not None:
            return frozenset([found] if isinstance(found, int) else found)
    return frozenset()
