"""Models made by hand for the tests of engines, with the architectures of tests/seeds/architectures.json."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.types import Ability, Architecture, Family, Format, Hub, Location, Model, Source, Spec

_TABLE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "seeds" / "architectures.json").read_text())
_CLASSES = {
    "qwen1.5-chat": "Qwen2ForCausalLM",
    "llama-2-chat": "LlamaForCausalLM",
    "qwen2-vl-instruct": "Qwen2VLForConditionalGeneration",
    "internvl-chat": "InternVLChatModel",
}
_TIED = {("qwen1.5-chat", "0_5"), ("qwen2-vl-instruct", "2")}


def architecture(family: str, size: str, **changes: Any) -> Architecture:
    made = Architecture(_CLASSES[family], *_TABLE[family][size])
    usual = {"tied": (family, size) in _TIED, "qkv_bias": family.startswith("qwen")}
    return replace(made, **(usual | changes))


def model(
    family: str = "qwen1.5-chat",
    size: str = "7",
    form: Format = Format.PYTORCH,
    quantization: str = "none",
    **changes: Any,
) -> Model:
    """A catalogued model as a plan sees it; ``changes`` are fields of the Model, or ``template`` and ``shape``."""
    template, shape = changes.pop("template", None), changes.pop("shape", architecture(family, size))
    one_file = form in {Format.GGUF, Format.GGML}
    path = Path("/models") / (f"{family}-{size}-{quantization}.gguf" if one_file else f"{family}-{size}")
    publisher = "TheBloke" if one_file and family == "llama-2-chat" else "Qwen"
    repository = f"{publisher}/{family}-{size}"
    source = Source(Hub.HUGGINGFACE, repository, (quantization,))
    spec = Spec(form, size, (quantization,), repository, (source,), shape)
    abilities = (Ability.CHAT, Ability.TOOLS) if family == "qwen1.5-chat" else (Ability.CHAT,)
    parser = "hermes" if family == "qwen1.5-chat" else None
    entry = Family(family, 32768, ("en",), abilities, "For tests.", (spec,), parser, chat_template=template)
    made = Model(entry, spec, quantization, Location(Hub.HUGGINGFACE, repository, path=path))
    return replace(made, **changes)
