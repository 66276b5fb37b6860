"""Transformers: the widest reach of formats, served by Slipway's own small server in an isolated environment."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.engines import architectures, causes, launching, transformers_options
from slipway.engines.causes import Cause
from slipway.engines.kinds import IN_WORDS
from slipway.engines.memory import MIB, kv_cache_term, overhead_term, torch_activations_term
from slipway.engines.options import flag_pairs
from slipway.engines.weights import known_architecture, quantized_while_loading, weights_term
from slipway.types import Demand, DeviceKind, Environment, Format, Launch, Memory, MemoryTerm, Model, Placement

_PREFILL_TOKENS = 2048  # tokens of prompts computed at once; given in argv, so that the estimate holds
_DEVICES = {DeviceKind.CPU: "cpu", DeviceKind.CUDA: "cuda", DeviceKind.METAL: "mps"}

_REQUIRED = (
    "transformers==5.23.0",
    "torch==2.13.0",
    "accelerate==1.15.0",
    "aiohttp==3.14.5",  # from here on: what Slipway's server and images need
    "jinja2==3.1.6",
    "llguidance==1.9.1",
    "pillow==13.0.0",
    "safetensors==0.8.0",
)
_QUANTIZED = ("gptqmodel==7.6.0", "optimum==2.3.0", "bitsandbytes==0.50.2")
_PROBE = ("torch", "transformers", "aiohttp", "llguidance")
_DISK_BYTES = {
    DeviceKind.CPU: 1_400_000_000,  # as measured on Linux
    DeviceKind.METAL: 1_500_000_000,  # an allowance, as the next
    DeviceKind.CUDA: 8 * 10**9,
}

_CAUSES = (
    Cause(
        r"does not recognize this architecture|Unrecognized configuration class|has no attribute '(\w+For\w+)'",
        "Transformers does not implement the checkpoint's architecture {0}",
    ),
    Cause(
        r"Error no file named .* found in directory (\S+)|does not appear to have a file named (\S+)",
        "the checkpoint directory holds no weights that Transformers reads ({0}{1})",
    ),
    Cause(
        r"MPS backend out of memory",
        "the Apple GPU ran out of memory: lower --context-length or --parallel, or take a smaller model",
    ),
)


class Transformers:
    """The library behind Slipway's server: unquantized, GPTQ, AWQ and bitsandbytes, text and images."""

    name: Final = "Transformers"
    kinds: Final = (DeviceKind.CUDA, DeviceKind.METAL, DeviceKind.CPU)
    options: Final = transformers_options.OPTIONS
    refused_options: Final = transformers_options.REFUSED
    lacks: Final = transformers_options.LACKS
    own_names: Final = transformers_options.OWN_NAMES

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        architecture = model.spec.architecture
        if model.format in {Format.GGUF, Format.GGML}:
            return f"Transformers would unpack {model.format} weights to full precision, in vain: use llama.cpp"
        if architecture is not None and architecture.name not in architectures.TRANSFORMERS:
            return f"Transformers has no {architecture.name} that runs without code from the repository"
        if kind not in self.kinds:
            return f"the torch on PyPI is for NVIDIA GPUs, Apple GPUs and CPUs, not for {IN_WORDS[kind]}"
        if kind is DeviceKind.METAL and (model.format is not Format.PYTORCH or model.quantization != "none"):
            return f"the kernels for {_method(model)} are for NVIDIA GPUs and CPUs, not for Apple GPUs"
        return None

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        architecture = known_architecture(model)
        return Memory(
            (
                weights_term(model),
                kv_cache_term(architecture, demand),
                torch_activations_term(architecture, _prefill_tokens(model, demand), demand.parallel),
                _overhead(kind),
            )
        )

    def environment(self, kind: DeviceKind) -> Environment:
        """One for all formats; on Apple GPUs without GPTQ, AWQ and bitsandbytes, which have no kernels there."""
        quantized = () if kind is DeviceKind.METAL else _QUANTIZED
        lock = f"transformers-{kind}"
        return Environment("3.11", (*_REQUIRED, *quantized), False, lock, _PROBE, (), _DISK_BYTES[kind])

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        flags = _flags(model, uid, demand, placement) | dict(options)
        env = {**launching.OFFLINE, **launching.visible_gpus(placement)}
        if placement.kind is DeviceKind.CPU:
            env["OMP_NUM_THREADS"] = str(placement.threads)
        return Launch(
            argv=(*launching.isolated("slipway.engines.transformers_server"), *flag_pairs(flags)),
            env=env,
            secret_variable=launching.SECRET_VARIABLE,
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=180),
            files=launching.template_files(model),
        )

    def explain(self, log_tail: Sequence[str]) -> str | None:
        return causes.explain(log_tail, *_CAUSES)


def _flags(model: Model, uid: str, demand: Demand, placement: Placement) -> dict[str, Any]:
    flags: dict[str, Any] = {
        "model": launching.model_path(model),
        "alias": uid,
        "host": "127.0.0.1",
        "port": "{port}",
        "context_length": demand.context_length,
        "parallel": demand.parallel,
        "max_batch_tokens": _prefill_tokens(model, demand),
        "device": _DEVICES.get(placement.kind, str(placement.kind)),
        "dtype": "bfloat16" if model.format is Format.PYTORCH else "auto",  # GPTQ and AWQ scales are float16
    }
    if quantized_while_loading(model):
        flags["quantize"] = model.quantization
    parser = launching.tool_parser(model)
    if parser is not None:
        flags["tool_call_parser"] = parser
    if model.family.chat_template is not None:
        flags["chat_template"] = f"{{files}}/{launching.TEMPLATE_FILE}"
    return flags


def _prefill_tokens(model: Model, demand: Demand) -> int:
    """Text is computed in batches of bounded size; a request with images is computed whole."""
    return demand.context_length if _is_vision(model) else max(_PREFILL_TOKENS, demand.parallel)


def _is_vision(model: Model) -> bool:
    return model.spec.architecture is not None and model.spec.architecture.name in architectures.VISION


def _bitsandbytes(model: Model) -> bool:
    return model.format is Format.PYTORCH and model.quantization != "none"


def _method(model: Model) -> str:
    return f"bitsandbytes {model.quantization}" if _bitsandbytes(model) else str(model.format)


def _overhead(kind: DeviceKind) -> MemoryTerm:
    if kind is DeviceKind.CUDA:
        # An allowance, not measured here: the context and libraries of one process.
        return overhead_term(("CUDA context", 600 * MIB))
    # An allowance, after 0.4 to 0.6 GB seen of a process that has imported torch and Transformers.
    return overhead_term(("process", 600 * 10**6))
