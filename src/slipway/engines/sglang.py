"""SGLang: its own OpenAI server in an isolated environment, on NVIDIA GPUs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.engines import architectures, causes, launching, sglang_options
from slipway.engines.causes import Cause
from slipway.engines.kinds import IN_WORDS
from slipway.engines.memory import GIB, MIB, kv_cache_term, overhead_term, torch_activations_term
from slipway.engines.options import flag_pairs
from slipway.engines.weights import known_architecture, weights_term
from slipway.types import Demand, DeviceKind, Environment, Format, Launch, Memory, Model, Placement

_PREFILL_TOKENS = 4096  # tokens of prompts computed at once; given in argv, so that the estimate holds
_GPU_FRACTION = 0.85  # of a GPU's memory, for weights and cache together

_CAUSES = (
    Cause(
        r"Not enough memory\. Please try to increase --mem-fraction-static|Loading weights failed.*memory",
        "no memory is left for the KV cache after the weights: lower --context-length or raise --mem-fraction-static",
    ),
    Cause(
        r"Model architectures? (\[.*?\]) (?:are not supported|is not supported)",
        "SGLang does not implement the architecture {0}",
    ),
    Cause(
        r"Capture cuda graph failed",
        "SGLang ran out of memory while capturing graphs: lower --mem-fraction-static or --cuda-graph-max-bs-decode",
    ),
)


class Sglang:
    """SGLang's server. On a GPU it takes a fixed fraction of the memory; the estimate is what it needs of it.

    The server reads its key from a flag only, and argv is public on a machine: a start-up module in its environment has
    to put the secret in place, from the variable named here, before it calls the server.
    """

    name: Final = "SGLang"
    kinds: Final = (DeviceKind.CUDA,)
    options: Final = sglang_options.OPTIONS
    refused_options: Final = sglang_options.REFUSED

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        refusal = _refuses_everywhere(model)
        if refusal is not None or kind in self.kinds:
            return refusal
        if kind is DeviceKind.CPU:
            return "SGLang's release on PyPI has kernels for NVIDIA GPUs only; it has none for a CPU"
        return f"SGLang's release on PyPI is for NVIDIA GPUs, not for {IN_WORDS[kind]}"

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        architecture = known_architecture(model)
        return Memory(
            (
                weights_term(model),
                kv_cache_term(architecture, demand),
                torch_activations_term(architecture, _PREFILL_TOKENS, launching.sequences(demand)),
                # An allowance, not measured here: the context and libraries of one process, and its captured graphs.
                overhead_term(("CUDA context", 600 * MIB), ("CUDA graphs", 1 * GIB)),
            )
        )

    def environment(self, model: Model, kind: DeviceKind) -> Environment:
        return Environment("3.11", ("sglang==0.5.23",))

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        flags = _flags(model, uid, demand, placement) | dict(options)
        return Launch(
            argv=("{python}", "-m", "sglang.launch_server", *flag_pairs(flags)),
            env={**launching.OFFLINE, **launching.visible_gpus(placement)},
            secret_variable=launching.SECRET_VARIABLE,
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=600),  # compilation and graph capture
            files=launching.template_files(model),
        )

    def explain(self, log_tail: Sequence[str]) -> str | None:
        return causes.explain(log_tail, *_CAUSES)


def _refuses_everywhere(model: Model) -> str | None:
    architecture = model.spec.architecture
    name = None if architecture is None else architecture.name
    if model.format is Format.GGML:
        return "SGLang does not read ggmlv3, the format before GGUF: use llama.cpp, which gets the file converted"
    if model.format is Format.GGUF:
        return "Slipway does not give GGUF files to SGLang, whose reader of them is not proven here: use llama.cpp"
    if name == architectures.INTERNVL:
        return "SGLang needs code from the repository to read InternVLChatModel, which Slipway never runs"
    if name is not None and name not in architectures.SGLANG:
        return f"SGLang has no {name} that runs without code from the repository"
    if name in architectures.VISION and model.format is not Format.PYTORCH:
        return f"SGLang's {name} is not proven with {model.format} weights: use Transformers or vLLM"
    if model.format is Format.PYTORCH and model.quantization != "none":
        return f"SGLang runs this checkpoint as it is (none); use Transformers to load it in {model.quantization}"
    return None


def _flags(model: Model, uid: str, demand: Demand, placement: Placement) -> dict[str, Any]:
    flags: dict[str, Any] = {
        "model_path": launching.model_path(model),
        "served_model_name": uid,
        "host": "127.0.0.1",
        "port": "{port}",
        "context_length": demand.context_length,
        "max_running_requests": launching.sequences(demand),
        "chunked_prefill_size": _PREFILL_TOKENS,
        "tp_size": placement.count,
        "mem_fraction_static": _GPU_FRACTION,
        "dtype": "auto",  # the checkpoint's own 16 bits
        "enable_metrics": True,
    }
    parser = launching.tool_parser(model)
    if parser is not None:
        flags["tool_call_parser"] = parser
    if model.family.reasoning_parser is not None:
        flags["reasoning_parser"] = model.family.reasoning_parser
    if model.family.chat_template is not None:
        flags["chat_template"] = f"{{files}}/{launching.TEMPLATE_FILE}"
    return flags
