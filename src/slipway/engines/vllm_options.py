"""vLLM's options: the commonest of its server's flags."""

from collections.abc import Mapping

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, real, switch, table, whole, words

OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("dtype", "type of weights and activations", choice("auto", "bfloat16", "float16", "float32")),
    EngineOption("quantization", "method, where the checkpoint does not name it", words),
    EngineOption("load_format", "how weights are read: auto, safetensors, gguf, …", words),
    EngineOption("tokenizer", "directory of the tokenizer, where it is not with the weights", words),
    EngineOption("tokenizer_mode", "auto, slow or mistral", choice("auto", "slow", "mistral", "hf")),
    EngineOption("generation_config", "where default sampling values come from: auto or vllm", words),
    EngineOption("hf_overrides", "changes to the model's configuration, as JSON", words),
    EngineOption("seed", "seed of the engine", whole(0)),
    EngineOption("max_num_batched_tokens", "tokens computed at once; memory grows with it", whole(1)),
    EngineOption("gpu_memory_utilization", "part of the GPU's memory to take (0.9)", real(0.01, 1)),
    EngineOption("kv_cache_dtype", "type of the KV cache: auto, fp8, …", words),
    EngineOption("kv_cache_memory_bytes", "size of the KV cache, instead of a part of the GPU", whole(0, 2**63 - 1)),
    EngineOption("block_size", "tokens in a block of the KV cache (16)", whole(1, 256)),
    EngineOption("cpu_offload_gb", "GiB of weights to keep in main memory", real(0, 4096)),
    EngineOption("enable_prefix_caching", "reuse the common beginning of prompts (true)", switch),
    EngineOption("enable_chunked_prefill", "compute long prompts in pieces (true)", switch),
    EngineOption("scheduling_policy", "fcfs or priority", choice("fcfs", "priority")),
    EngineOption("async_scheduling", "schedule ahead of the GPU", switch),
    EngineOption("enforce_eager", "do not compile or capture graphs: a faster start, slower tokens", switch),
    EngineOption("compilation_config", "what to compile, as JSON", words),
    EngineOption("attention_backend", "kernel of the attention", words),
    EngineOption("pipeline_parallel_size", "stages to split the layers into", whole(1, 64)),
    EngineOption("data_parallel_size", "copies of the model in one engine", whole(1, 64)),
    EngineOption("enable_expert_parallel", "split experts instead of their weights", switch),
    EngineOption("disable_custom_all_reduce", "use NCCL for all sums between GPUs", switch),
    EngineOption("limit_mm_per_prompt", "most images in a request, as JSON", words),
    EngineOption("mm_processor_kwargs", "how images are prepared, as JSON", words),
    EngineOption("speculative_config", "drafting of tokens, as JSON", words),
    EngineOption("enable_lora", "prepare for LoRA adapters", switch),
    EngineOption("max_loras", "adapters in one batch", whole(1, 256)),
    EngineOption("max_lora_rank", "largest rank of an adapter", whole(1, 512)),
    EngineOption("max_logprobs", "most log probabilities a request may ask for (20)", whole(-1)),
    EngineOption("tool_call_parser", "parser of tool calls, where the family names none", words),
    EngineOption("reasoning_parser", "parser of thoughts, where the family names none", words),
    EngineOption("enable_auto_tool_choice", "let the model choose tools; needs a parser", switch),
    EngineOption("uvicorn_log_level", "debug, info, warning, error", choice("debug", "info", "warning", "error")),
)

_CODE = "it imports code by name; Slipway passes on no code"

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "chat_template": "the checkpoint's own template is used, or the family's: register a family with a chat_template",
    "config": "a file of further flags would not be checked: give the flags themselves",
    "download_dir": "Slipway fetches the files, into SLIPWAY_HOME",
    "hf_token": "Slipway fetches the files: set HF_TOKEN for it",
    "logits_processors": _CODE,
    "max_model_len": COMMON_REFUSED["context_length"],
    "max_num_seqs": "use --parallel",
    "middleware": _CODE,
    "reasoning_parser_plugin": _CODE,
    "revision": "the source's revision is used",
    "tensor_parallel_size": "use --n-gpu",
    "tool_parser_plugin": _CODE,
    "worker_cls": _CODE,
    "worker_extension_cls": _CODE,
}
