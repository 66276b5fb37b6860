"""vLLM's options: the commonest of its server's flags."""

import json
from collections.abc import Mapping
from typing import Any

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, json_object, real, switch, table, whole, words

_RANKS = ("1", "8", "16", "32", "64", "128", "256", "320", "512")  # those vLLM takes
# Parts of the compiler's configuration that name code to import or places to write to.
_COMPILED = ("backend", "inductor_passes", "post_grad_custom_post_pass", "cache_dir", "debug_dump_path")


def _speculative(value: Any) -> str:
    """Drafting as vLLM's JSON, without the method that imports a class by name."""
    text: str = json_object("code_revision", "draft_load_config", "trust_remote_code")(value)
    if json.loads(text).get("method") == "custom_class":
        raise ValueError("a method other than custom_class, which imports code by name")
    return text


OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("dtype", "type of weights and activations", choice("auto", "bfloat16", "float16", "float32")),
    EngineOption("load_format", "how weights are read", choice("safetensors", "fastsafetensors", "dummy")),
    EngineOption("tokenizer", "directory of the tokenizer, where it is not with the weights", words),
    EngineOption("tokenizer_mode", "auto, slow or mistral", choice("auto", "slow", "mistral", "hf")),
    EngineOption("generation_config", "where default sampling values come from: auto or vllm", words),
    EngineOption(
        "hf_overrides", "changes to the model's configuration, as JSON", json_object("auto_map", "trust_remote_code")
    ),
    EngineOption("seed", "seed of the engine", whole(0)),
    EngineOption("max_num_batched_tokens", "tokens computed at once; memory grows with it", whole(1)),
    EngineOption("kv_cache_dtype", "type of the KV cache: auto, fp8, …", words),
    EngineOption("kv_cache_memory_bytes", "size of the KV cache, instead of a part of the GPU", whole(0, 2**63 - 1)),
    EngineOption("block_size", "tokens in a block of the KV cache (16)", whole(1, 256)),
    EngineOption("cpu_offload_gb", "GiB of weights to keep in main memory", real(0, 4096)),
    EngineOption("enable_prefix_caching", "reuse the common beginning of prompts (true)", switch),
    EngineOption("enable_chunked_prefill", "compute long prompts in pieces (true)", switch),
    EngineOption("scheduling_policy", "fcfs or priority", choice("fcfs", "priority")),
    EngineOption("async_scheduling", "schedule ahead of the GPU", switch),
    EngineOption("enforce_eager", "do not compile or capture graphs: a faster start, slower tokens", switch),
    EngineOption("compilation_config", "what to compile, as JSON", json_object(*_COMPILED)),
    EngineOption("attention_backend", "kernel of the attention", words),
    EngineOption("data_parallel_size", "copies of the model in one engine", whole(1, 64)),
    EngineOption("enable_expert_parallel", "split experts instead of their weights", switch),
    EngineOption("disable_custom_all_reduce", "use NCCL for all sums between GPUs", switch),
    EngineOption("limit_mm_per_prompt", "most images in a request, as JSON", json_object()),
    EngineOption("mm_processor_kwargs", "how images are prepared, as JSON", json_object()),
    EngineOption("speculative_config", "drafting of tokens, as JSON", _speculative),
    EngineOption("max_loras", "adapters in one batch", whole(1, 256)),
    EngineOption("max_lora_rank", "largest rank of an adapter (64)", choice(*_RANKS)),
    EngineOption("max_logprobs", "most log probabilities a request may ask for (20)", whole(-1)),
    EngineOption("tool_call_parser", "parser of tool calls, where the family names none", words),
    EngineOption("reasoning_parser", "parser of thoughts, where the family names none", words),
    EngineOption("enable_auto_tool_choice", "let the model choose tools; needs a parser", switch),
    EngineOption("uvicorn_log_level", "debug, info, warning, error", choice("debug", "info", "warning", "error")),
)

LACKS: Mapping[str, str] = {}
OWN_NAMES: Mapping[str, str] = {
    "device_memory_utilization": "memory_fraction",
    "gpu_memory_utilization": "memory_fraction",
    "lora_modules": "lora",
    "max_model_len": "context_length",
    "pipeline_parallel_size": "pipeline_parallel",
    "spec_model": "draft_model",
    "spec_tokens": "draft_tokens",
    "tensor_parallel_size": "tensor_parallel",
}

_CODE = "it imports code by name; Slipway passes on no code"
_LATER = "an engine's address, and how many of it there are, is Slipway's: use --replica"
_WRITES = "an engine writes no files of a client's choosing"
_SENDS = "an engine sends nothing to other machines"
_FLAGS = "it would not be checked: give the flags themselves"

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "additional_config": _FLAGS,
    "allowed_media_domains": "which pictures are fetched is not for a launch to widen",
    "api_server_count": _LATER,
    "chat_template": "the checkpoint's own template is used, or the family's: register a family with a chat_template",
    "code_revision": COMMON_REFUSED["trust_remote_code"],
    "config": _FLAGS,
    "data_parallel_address": _LATER,
    "data_parallel_backend": _LATER,
    "data_parallel_rpc_port": _LATER,
    "distributed_executor_backend": _CODE,
    "download_dir": "Slipway fetches the files, into SLIPWAY_HOME",
    "ec_transfer_config": _SENDS,
    "enable_lora": "use --lora-modules",
    "enable_offline_docs": COMMON_REFUSED["allowed_origins"],
    "enable_prompt_embeds": "tensors sent by clients are not unpickled",
    "enable_scale_out": _LATER,
    "enable_sleep_mode": "its routes would be open beside the gateway",
    "enable_ssl_refresh": COMMON_REFUSED["ssl_certfile"],
    "grpc": _LATER,
    "grpc_port": COMMON_REFUSED["port"],
    "headless": _LATER,
    "hf_config_path": "the configuration is the checkpoint's own",
    "hf_token": "Slipway fetches the files: set HF_TOKEN for it",
    "io_processor_plugin": _CODE,
    "kv_events_config": _SENDS,
    "kv_transfer_config": _SENDS,
    "log_config_file": _FLAGS,
    "logging_config": _FLAGS,
    "logits_processors": _CODE,
    "master_addr": _LATER,
    "master_port": _LATER,
    "max_num_seqs": "use --parallel",
    "middleware": _CODE,
    "model_class_overrides": _CODE,
    "model_loader_extra_config": _FLAGS,
    "nnodes": _LATER,
    "node_rank": _LATER,
    "otlp_traces_endpoint": _SENDS,
    "profiler_config": _WRITES,
    "quantization_config": "use --quantization-method",
    "reasoning_parser_plugin": _CODE,
    "revision": "the source's revision is used",
    "root_path": "paths are the gateway's",
    "scheduler_cls": _CODE,
    "ssl_ca_certs": COMMON_REFUSED["ssl_certfile"],
    "tokenizer_revision": "the source's revision is used",
    "tool_parser_plugin": _CODE,
    "tool_server": "an engine runs no tools of its own",
    "trust_request_chat_template": "templates are code; those of clients are not run",
    "trust_request_mm_kwargs": "a client's wishes must not change what memory a launch takes",
    "uds": COMMON_REFUSED["port"],
    "weight_transfer_config": _SENDS,
    "worker_cls": _CODE,
    "worker_extension_cls": _CODE,
}
