"""SGLang's options: the commonest of its server's flags."""

from collections.abc import Mapping

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, only_true, real, table, whole, words

_POLICIES = ("fcfs", "lpm", "random", "dfs-weight", "lof", "priority", "shortest-prefill-first")

OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("dtype", "type of weights and activations", choice("auto", "bfloat16", "float16", "float32")),
    EngineOption("quantization", "method, where the checkpoint does not name it", words),
    EngineOption("load_format", "how weights are read: auto, safetensors, …", words),
    EngineOption("tokenizer_path", "directory of the tokenizer, where it is not with the weights", words),
    EngineOption("tokenizer_mode", "auto or slow", choice("auto", "slow")),
    EngineOption("json_model_override_args", "changes to the model's configuration, as JSON", words),
    EngineOption("random_seed", "seed of the engine", whole(0)),
    EngineOption("mem_fraction_static", "part of the GPU's memory for weights and cache (0.85)", real(0.01, 1)),
    EngineOption("kv_cache_dtype", "type of the KV cache: auto, fp8_e5m2, …", words),
    EngineOption("max_total_tokens", "tokens in the KV cache, instead of what memory allows", whole(1)),
    EngineOption("max_prefill_tokens", "tokens of prompts in one batch", whole(1)),
    EngineOption("chunked_prefill_size", "tokens of a prompt computed at once; memory grows with it", whole(-1)),
    EngineOption("page_size", "tokens in a page of the KV cache", whole(1, 1024)),
    EngineOption("schedule_policy", "order of waiting requests", choice(*_POLICIES)),
    EngineOption("schedule_conservativeness", "how much room to keep for running requests (1)", real(0, 100)),
    EngineOption("stream_interval", "tokens between pieces of a stream (1)", whole(1, 1024)),
    EngineOption("attention_backend", "kernel of the attention: flashinfer, fa3, triton, …", words),
    EngineOption(
        "grammar_backend", "xgrammar, outlines or llguidance", choice("xgrammar", "outlines", "llguidance", "none")
    ),
    EngineOption("cuda_graph_max_bs_decode", "largest batch to capture a graph for", whole(1, 4096)),
    EngineOption("disable_decode_cuda_graph", "no graphs for tokens: a faster start, slower tokens", only_true),
    EngineOption("disable_prefill_cuda_graph", "no graphs for prompts", only_true),
    EngineOption("disable_radix_cache", "do not reuse the common beginning of prompts", only_true),
    EngineOption("disable_overlap_schedule", "do not schedule ahead of the GPU", only_true),
    EngineOption("enable_torch_compile", "compile the model for small batches", only_true),
    EngineOption("enable_mixed_chunk", "mix prompts and generation in a batch", only_true),
    EngineOption("cpu_offload_gb", "GiB of weights to keep in main memory", whole(0, 4096)),
    EngineOption("pp_size", "stages to split the layers into", whole(1, 64)),
    EngineOption("dp_size", "copies of the model in one engine", whole(1, 64)),
    EngineOption("tool_call_parser", "parser of tool calls, where the family names none", words),
    EngineOption("reasoning_parser", "parser of thoughts, where the family names none", words),
    EngineOption("watchdog_timeout", "seconds before a stuck batch ends the engine (300)", real(1, 86400)),
    EngineOption("log_level", "debug, info, warning, error", choice("debug", "info", "warning", "error")),
)

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "admin_api_key": COMMON_REFUSED["api_key"],
    "chat_template": "the checkpoint's own template is used, or the family's: register a family with a chat_template",
    "config": "a file of further flags would not be checked: give the flags themselves",
    "download_dir": "Slipway fetches the files, into SLIPWAY_HOME",
    "enable_custom_logit_processor": "it runs code sent by clients",
    "max_running_requests": "use --parallel",
    "revision": "the source's revision is used",
    "tensor_parallel_size": "use --n-gpu",
    "tp_size": "use --n-gpu",
}
