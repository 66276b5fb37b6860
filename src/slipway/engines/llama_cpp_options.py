"""llama.cpp's options: attributes of xllamacpp's CommonParams that the engine process sets by name."""

from collections.abc import Mapping

from slipway.engines.base import EngineOption
from slipway.engines.options import COMMON_REFUSED, choice, real, switch, table, whole, words

_CACHE_TYPE = choice("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_ATTENTION = choice(
    "auto", "enabled", "disabled", aliases={"on": "enabled", "true": "enabled", "off": "disabled", "false": "disabled"}
)

OPTIONS: Mapping[str, EngineOption] = table(
    EngineOption("n_batch", "tokens of a prompt taken in at once (2048)", whole(1)),
    EngineOption("n_ubatch", "tokens computed at once (512); memory grows with it", whole(1)),
    EngineOption("n_threads", "threads for generation; default: this model's share of the cores", whole(1, 512)),
    EngineOption("n_threads_batch", "threads for prompts; default: as for generation", whole(1, 512)),
    EngineOption("n_gpu_layers", "layers computed on the GPU; -1: all that fit", whole(-1)),
    EngineOption("main_gpu", "the GPU that computes what is not split", whole(0, 63)),
    EngineOption("split_mode", "how several GPUs share a model: none, layer or row", choice("none", "layer", "row")),
    EngineOption("flash_attn_type", "flash attention: auto, enabled or disabled", _ATTENTION),
    EngineOption("cache_type_k", "type of the keys in the KV cache (f16)", _CACHE_TYPE),
    EngineOption("cache_type_v", "type of the values in the KV cache (f16)", _CACHE_TYPE),
    EngineOption("kv_unified", "one KV cache shared by all requests (false)", switch),
    EngineOption("no_kv_offload", "keep the KV cache in main memory (false)", switch),
    EngineOption("swa_full", "full-size cache for sliding-window models (false)", switch),
    EngineOption("cache_prompt", "reuse the common beginning of a request's prompt (true)", switch),
    EngineOption("cache_reuse", "smallest piece of a prompt to reuse by shifting the cache (0: off)", whole(0)),
    EngineOption("cache_ram_mib", "main memory for cached prompts, MiB (0: none; beyond the estimate)", whole(0)),
    EngineOption("slot_prompt_similarity", "how alike prompts must be to share a slot (0.1)", real(0, 1)),
    EngineOption("cont_batching", "answer requests together as they come (true)", switch),
    EngineOption("ctx_shift", "drop the oldest tokens when a request's context is full (false)", switch),
    EngineOption("n_keep", "tokens of the prompt kept by a context shift", whole(-1)),
    EngineOption("n_predict", "most tokens to generate where a request does not say (-1: no limit)", whole(-2)),
    EngineOption("rope_freq_base", "base frequency of the rotary embedding (0: the file's)", real(0, 1e9)),
    EngineOption("rope_freq_scale", "frequency scale of the rotary embedding (0: the file's)", real(0, 1000)),
    EngineOption(
        "rope_scaling_type",
        "context extension: none, linear, yarn or longrope",
        choice("none", "linear", "yarn", "longrope"),
    ),
    EngineOption("yarn_orig_ctx", "context the model was trained with, for yarn (0: the file's)", whole(0)),
    EngineOption("yarn_ext_factor", "yarn's extrapolation mix (-1: the file's)", real(-1, 1)),
    EngineOption("yarn_attn_factor", "yarn's attention scale (-1: the file's)", real(-1, 100)),
    EngineOption("yarn_beta_fast", "yarn's fast beta (-1: the file's)", real(-1, 1000)),
    EngineOption("yarn_beta_slow", "yarn's slow beta (-1: the file's)", real(-1, 1000)),
    EngineOption(
        "load_mode",
        "how weights are read: auto, mmap, mlock, direct_io or none",
        choice("auto", "none", "mmap", "mlock", "direct_io"),
    ),
    EngineOption(
        "numa", "placement on NUMA machines", choice("disabled", "distribute", "isolate", "numactl", "mirror")
    ),
    EngineOption("check_tensors", "look for invalid numbers in the weights when loading (false)", switch),
    EngineOption("warmup", "run the model once before answering (true)", switch),
    EngineOption("seed", "seed for sampling where a request gives none", whole(0, 2**32 - 1)),
    EngineOption(
        "reasoning_format",
        "where thoughts go: none, auto, deepseek or deepseek_legacy",
        choice("none", "auto", "deepseek", "deepseek_legacy"),
    ),
    EngineOption("prefill_assistant", "continue a final assistant message (true)", switch),
    EngineOption("verbosity", "how much the log tells, 0 to 5 (3)", whole(0, 5)),
    EngineOption("timeout_read", "seconds to wait for a request's bytes (3600)", whole(1)),
    EngineOption("timeout_write", "seconds to wait for a client to take bytes (3600)", whole(1)),
    EngineOption("mmproj", "a GGUF file that projects images for this model", words),
    EngineOption("mmproj_use_gpu", "compute the projector on the GPU (true)", switch),
    EngineOption("tensor_buft_overrides", "which buffers hold which tensors, as llama.cpp writes it", words),
)

LACKS: Mapping[str, str] = {
    "memory_fraction": "it takes what the context and --parallel ask for, and no more",
    "pipeline_parallel": "it splits layers over GPUs by --split-mode layer",
    "quantization_method": "its files are quantized already: choose one with --quantization",
    "tensor_parallel": "it splits a model over GPUs by --split-mode",
}
OWN_NAMES: Mapping[str, str] = {
    "ctx_size": "context_length",
    "draft_max": "draft_tokens",
    "lora": "lora",
    "model_draft": "draft_model",
    "n_parallel": "parallel",
}

REFUSED: Mapping[str, str] = {
    **COMMON_REFUSED,
    "chat_template": "the file's own template is used, or the family's: register a family with a chat_template",
    "cors_origins": "engines answer the gateway only",
    "flash_attn": "use --flash-attn-type",
    "hostnames": COMMON_REFUSED["host"],
    "media_path": COMMON_REFUSED["allowed_local_media_path"],
    "model_alias": COMMON_REFUSED["served_model_name"],
    "n_cache_reuse": "use --cache-reuse",
    "n_ctx": COMMON_REFUSED["context_length"],
    "lora_adapters": "use --lora-modules",
    "mcp_servers_config": "an engine runs no tools of its own",
    "mcp_servers_json": "an engine runs no tools of its own",
    "models_dir": "an engine serves the model it was launched with",
    "path_prompts_log_dir": "what clients ask is not written to files",
    "ssl_file_cert": COMMON_REFUSED["ssl_certfile"],
    "ssl_file_key": COMMON_REFUSED["ssl_certfile"],
    "speculative": "use --draft-model",
    "ui": "engines answer the gateway only",
    "ui_mcp_proxy": "an engine runs no tools of its own",
    "video_ffmpeg_bin_dir": "an engine starts no other programs",
    "public_path": COMMON_REFUSED["allowed_local_media_path"],
    "server_tools": "an engine runs no tools of its own",
    "slot_save_path": COMMON_REFUSED["allowed_local_media_path"],
    "use_mlock": "use --load-mode mlock",
    "use_mmap": "use --load-mode mmap or none",
}
