"""SGLang's options: the commonest of its server's flags."""

from collections.abc import Mapping

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, json_object, only_true, real, table, whole, words

_POLICIES = ("fcfs", "lpm", "random", "dfs-weight", "lof", "priority", "shortest-prefill-first")

OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("dtype", "type of weights and activations", choice("auto", "bfloat16", "float16", "float32")),
    EngineOption("load_format", "how weights are read", choice("safetensors", "fastsafetensors", "dummy")),
    EngineOption("tokenizer_path", "directory of the tokenizer, where it is not with the weights", words),
    EngineOption("tokenizer_mode", "auto or slow", choice("auto", "slow")),
    EngineOption(
        "json_model_override_args",
        "changes to the model's configuration, as JSON",
        json_object("auto_map", "trust_remote_code"),
    ),
    EngineOption("random_seed", "seed of the engine", whole(0)),
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
    EngineOption("dp_size", "copies of the model in one engine", whole(1, 64)),
    EngineOption("sampling_defaults", "where default sampling values come from", choice("openai", "model")),
    EngineOption("max_lora_rank", "largest rank of an adapter (64)", whole(1, 512)),
    EngineOption("max_loras_per_batch", "adapters in one batch, the model without one counted", whole(1, 256)),
    EngineOption("speculative_eagle_topk", "branches of drafted tokens (1)", whole(1, 64)),
    EngineOption("speculative_num_draft_tokens", "tokens checked at once", whole(1, 1024)),
    EngineOption("tool_call_parser", "parser of tool calls, where the family names none", words),
    EngineOption("reasoning_parser", "parser of thoughts, where the family names none", words),
    EngineOption("watchdog_timeout", "seconds before a stuck batch ends the engine (300)", real(1, 86400)),
    EngineOption("log_level", "debug, info, warning, error", choice("debug", "info", "warning", "error")),
)

LACKS: Mapping[str, str] = {}
OWN_NAMES: Mapping[str, str] = {
    "lora_paths": "lora",
    "mem_fraction_static": "memory_fraction",
    "pipeline_parallel_size": "pipeline_parallel",
    "pp_size": "pipeline_parallel",
    "speculative_draft_model_path": "draft_model",
    "speculative_num_steps": "draft_tokens",
    "tensor_parallel_size": "tensor_parallel",
    "tp_size": "tensor_parallel",
}
# Families name parsers as vLLM does; these are SGLang's names for the same forms.
TOOL_PARSERS: Mapping[str, str] = {
    "deepseek_v3": "deepseekv3",
    "deepseek_v31": "deepseekv31",
    "deepseek_v32": "deepseekv32",
    "hermes": "qwen25",  # <tool_call>{"name": …, "arguments": …}</tool_call>
    "hunyuan_a13b": "hunyuan",
    "internlm": "interns1",
    "llama3_json": "llama3",
    "minimax_m2": "minimax-m2",
    "minimax_m3": "minimax-m3",
    "openai": "gpt-oss",
    "qwen3_xml": "qwen3_coder",
}
REASONING_PARSERS: Mapping[str, str] = {
    "deepseek_r1": "deepseek-r1",
    "deepseek_v3": "deepseek-v3",
    "granite": "granite_thinking_parser",
    "hunyuan_a13b": "hunyuan",
    "minimax_m2": "minimax",
    "openai_gptoss": "gpt-oss",
}

_CODE = "it imports code by name; Slipway passes on no code"
_LATER = "an engine's address, and how many of it there are, is Slipway's: use --replica"
_WRITES = "an engine writes no files of a client's choosing"
_SENDS = "an engine sends nothing to other machines"
_FLAGS = "it would not be checked: give the flags themselves"

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "admin_api_key": COMMON_REFUSED["api_key"],
    "allowed_media_domains": "which pictures are fetched is not for a launch to widen",
    "chat_template": "the checkpoint's own template is used, or the family's: register a family with a chat_template",
    "config": _FLAGS,
    "crash_dump_folder": _WRITES,
    "custom_weight_loader": _CODE,
    "debug_tensor_dump_output_folder": _WRITES,
    "device": "use --n-gpu",
    "disaggregation_mode": _SENDS,
    "dist_init_addr": _LATER,
    "download_dir": "Slipway fetches the files, into SLIPWAY_HOME",
    "enable_custom_logit_processor": "it runs code sent by clients",
    "enable_lora": "use --lora-modules",
    "enable_ssl_refresh": COMMON_REFUSED["ssl_certfile"],
    "export_metrics_to_file_dir": _WRITES,
    "fastapi_root_path": "paths are the gateway's",
    "file_storage_path": _WRITES,
    "forward_hooks": _CODE,
    "grpc_mode": _LATER,
    "grpc_port": COMMON_REFUSED["port"],
    "hicache_storage_backend": _SENDS,
    "hicache_storage_backend_extra_config": _CODE,
    "kv_events_config": _SENDS,
    "load_publish_endpoint": _SENDS,
    "lmcache_config_file": _FLAGS,
    "log_requests": "what clients ask is not written to logs",
    "max_running_requests": "use --parallel",
    "model_loader_extra_config": _FLAGS,
    "nccl_port": COMMON_REFUSED["port"],
    "nnodes": _LATER,
    "node_rank": _LATER,
    "otlp_traces_endpoint": _SENDS,
    "remote_instance_weight_loader_seed_instance_ip": _SENDS,
    "revision": "the source's revision is used",
    "sidecar": _CODE,
    "smg_grpc_mode": _LATER,
    "speculative_ngram_external_corpus_path": _FLAGS,
    "ssl_ca_certs": COMMON_REFUSED["ssl_certfile"],
    "tool_server": "an engine runs no tools of its own",
    "trust_request_chat_template": "templates are code; those of clients are not run",
    "uno_lora_path": "use --lora-modules",
    "use_ray": _LATER,
    "weight_cache_socket": _SENDS,
}
