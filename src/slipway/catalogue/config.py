"""What a checkpoint's config.json means: architecture, context length, format, abilities. Pure; read by `detect`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.errors import BadModelFile
from slipway.formats.safetensors import Stored
from slipway.types import Ability, Architecture, Format

# Architectures whose checkpoints carry code (auto_map) that no engine here needs: it has its own implementation.
_NATIVE = frozenset(
    {
        "Gemma2ForCausalLM",
        "GemmaForCausalLM",
        "InternVLChatModel",
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "Phi3ForCausalLM",
        "PhiForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen2MoeForCausalLM",
        "Qwen2VLForConditionalGeneration",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
    }
)
_TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
_VISION_TENSOR = re.compile(r"(^|\.)(visual|vision_model|vision_tower|mlp1|multi_modal_projector)\.")
_EMBEDS = re.compile(
    r"(^|For)(MaskedLM|SequenceClassification|TokenClassification)$|^(Bert|Roberta|XLMRoberta|MPNet|DistilBert|Electra"
    r"|NomicBert|NewModel|ModernBert|GteModel|JinaBert|Qwen2Model|Qwen3Model|MistralModel|LlamaModel|T5EncoderModel)"
    r"(Model)?$"
)
_MAX_NUMBER = 1 << 40


def architecture_of(config: Mapping[str, Any], tensors: Mapping[str, Stored], where: Path) -> Architecture:
    """The decoder's shape; biases, tied tables and the vision tower are read off the tensors themselves.

    Raises BadModelFile where config.json names no architecture, needs its own code, or lacks a number.
    """
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    if name is None:
        raise BadModelFile(f"{where / 'config.json'} names no architecture; it is not a language model's")
    if _EMBEDS.search(name):
        raise BadModelFile(
            f"{where} is not a language model that writes text ({name}): chat and text generation are served, "
            "embeddings and classification are not yet"
        )
    _refuse_code(config, name, where)
    text = text_config(config)
    heads = _number(text, where, "num_attention_heads", "n_head")
    return Architecture(
        name=name,
        layers=_number(text, where, "num_hidden_layers", "n_layer"),
        hidden=_number(text, where, "hidden_size", "n_embd"),
        heads=heads,
        kv_heads=_optional(text, "num_key_value_heads") or heads,
        intermediate=_optional(text, "intermediate_size", "n_inner") or 0,
        vocab=_number(text, where, "vocab_size"),
        head_dim=_optional(text, "head_dim") or 0,
        tied=not any(each.endswith(("lm_head.weight", "language_model.output.weight")) for each in tensors),
        qkv_bias=any(each.endswith("self_attn.q_proj.bias") for each in tensors),
        extra_parameters=sum(stored.elements for each, stored in tensors.items() if _VISION_TENSOR.search(each)),
    )


def refuse_code(directory: Path) -> None:
    """Raise BadModelFile if a checkpoint's config.json asks for code that came with it, or cannot be read."""
    try:
        config = json.loads((directory / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadModelFile(f"{directory / 'config.json'} cannot be read ({error}); fetch it again") from None
    names = config.get("architectures") if isinstance(config, dict) else None
    if not isinstance(names, list) or not names:
        raise BadModelFile(f"{directory / 'config.json'} names no architecture; it is not a language model's")
    _refuse_code(config, str(names[0]), directory)


def _refuse_code(config: Mapping[str, Any], name: str, where: Path) -> None:
    if "auto_map" in config and name not in _NATIVE:
        raise BadModelFile(
            f"{where} asks for code of its own (auto_map in config.json) to run {name}; code from a model is never "
            "executed, and no engine here has that architecture built in"
        )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a config: vision models nest it."""
    for key in _TEXT_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, dict) and "hidden_size" in nested:
            return nested
    return config


def context_length_of(config: Mapping[str, Any]) -> int | None:
    """Tokens the model was made for, None where config.json does not say."""
    return _optional(text_config(config), "max_position_embeddings", "n_positions", "seq_length")


def quantization_of(config: Mapping[str, Any], where: Path) -> tuple[Format, str]:
    """The format and the quantization in the catalogue's words. Raises BadModelFile for methods it has no word for."""
    quantized = config.get("quantization_config")
    if not isinstance(quantized, dict):
        return Format.PYTORCH, "none"
    method = str(quantized.get("quant_method", "")).lower()
    bits = _optional(quantized, "bits", "w_bit") or 4
    if method in {"gptq", "awq"} and bits in {4, 8}:
        return (Format.GPTQ if method == "gptq" else Format.AWQ), f"Int{bits}"
    if method == "bitsandbytes":
        return Format.PYTORCH, "4-bit" if quantized.get("load_in_4bit") else "8-bit"
    raise BadModelFile(
        f"{where} is quantized with {method or 'an unnamed method'} at {bits} bits; known are gptq and awq at 4 or 8 "
        "bits, and bitsandbytes"
    )


def abilities_of(template: str | None, *, sees: bool) -> tuple[Ability, ...]:
    """Chat where there is a chat template, tools where it mentions them, else plain generation."""
    if template is None:
        return (Ability.GENERATE,)
    tools = (Ability.TOOLS,) if re.search(r"\btools\b", template) else ()
    return (Ability.CHAT, *tools, *((Ability.VISION,) if sees else ()))


def tool_parser_of(template: str | None) -> str | None:
    """The parser of the tool calls a template writes, None where it writes none or in a way of its own."""
    if template is None or not re.search(r"\btools\b", template):
        return None
    return "hermes" if "<tool_call>" in template else None


def _number(config: Mapping[str, Any], where: Path, *keys: str) -> int:
    value = _optional(config, *keys)
    if value is None:
        raise BadModelFile(f"{where / 'config.json'} does not give {keys[0]}; it is not a decoder language model's")
    return value


def _optional(config: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = config.get(key)
        if type(value) is int and 0 < value < _MAX_NUMBER:
            return value
    return None
