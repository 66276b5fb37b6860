"""The options of the Transformers engine: those of Slipway's own server around the library."""

from collections.abc import Mapping

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, switch, table, whole, words

OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("dtype", "type of weights and activations", choice("auto", "bfloat16", "float16", "float32")),
    EngineOption(
        "attn_implementation",
        "kernel of the attention (sdpa)",
        choice("sdpa", "eager", "flash_attention_2", "flash_attention_3"),
    ),
    EngineOption("max_batch_tokens", "tokens computed at once; memory grows with it", whole(1)),
    EngineOption("page_size", "tokens in a page of the KV cache", whole(1, 4096)),
    EngineOption("num_blocks", "pages in the KV cache, instead of what the context and parallel ask for", whole(1)),
    EngineOption("max_new_tokens", "most tokens to generate where a request does not say", whole(1)),
    EngineOption("seed", "seed for sampling where a request gives none", whole(0, 2**63 - 1)),
    EngineOption("compile", "compile the model: a slower start, faster tokens", switch),
    EngineOption("double_quant", "bitsandbytes 4-bit: quantize the scales too", switch),
    EngineOption("quant_type", "bitsandbytes 4-bit: nf4 or fp4", choice("nf4", "fp4")),
    EngineOption("min_pixels", "smallest image, in pixels, before it is enlarged", whole(1)),
    EngineOption("max_pixels", "largest image, in pixels, before it is reduced", whole(1)),
    EngineOption("max_tiles", "most tiles an image is cut into", whole(1, 64)),
    EngineOption("tool_call_parser", "parser of tool calls, where the family names none", words),
    EngineOption("log_level", "debug, info, warning, error", choice("debug", "info", "warning", "error")),
)

LACKS: Mapping[str, str] = {
    "draft_model": "its server drafts no tokens",
    "draft_tokens": "its server drafts no tokens",
    "lora": "its server reads no adapters",
    "memory_fraction": "it takes what the context and --parallel ask for, and no more",
    "pipeline_parallel": "its server uses one process",
    "quantization_method": "it quantizes by --quantization: 4-bit or 8-bit",
    "tensor_parallel": "its server uses one process",
}
OWN_NAMES: Mapping[str, str] = {}

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "chat_template": "the checkpoint's own template is used, or the family's: register a family with a chat_template",
    "device": "use --n-gpu: 0 runs on the CPU",
    "device_map": "use --n-gpu and --gpu-idx",
    "parallel": "use --parallel",
    "quantize": "use --quantization",
}
