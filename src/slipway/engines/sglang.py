"""SGLang: its own OpenAI server in an isolated environment, on NVIDIA GPUs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.engines import architectures, causes, launching, sglang_options
from slipway.engines.causes import Cause
from slipway.engines.kinds import IN_WORDS
from slipway.engines.memory import GIB, MIB, kv_cache_term, overhead_term, torch_activations_term
from slipway.engines.options import flag_pairs
from slipway.engines.weights import known_architecture, weights_term
from slipway.types import Demand, DeviceKind, Environment, Features, Format, Launch, Memory, Model, Placement

_PREFILL_TOKENS = 4096  # tokens of prompts computed at once; given in argv, so that the estimate holds
_GPU_FRACTION = 0.85  # of a GPU's memory, for weights and cache together
_DRAFT_STEPS = 5
_LORA_RANKS = 64  # the largest rank of an adapter that is served unless --max-lora-rank says more

_DISK_BYTES = 14 * 10**9  # an allowance: it was not installed where there is no GPU

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
        r"model type `([^`]+)` but Transformers does not recognize",
        "this release of SGLang does not know the architecture {0}: the checkpoint is newer than the engine, or is no "
        "language model; use a family that it names, or another engine",
    ),
    Cause(
        r"context_length \((\d+)\) is greater than the derived",
        "--context-length {0} is more than the checkpoint allows: lower it",
    ),
    Cause(
        r"Capture cuda graph failed",
        "SGLang ran out of memory while capturing graphs: lower --mem-fraction-static or --cuda-graph-max-bs-decode",
    ),
)


class Sglang:
    """SGLang's server. On a GPU it takes a fixed fraction of the memory; the estimate is what it needs of it.

    The server reads its key from a flag only, and argv is public on a machine: `sglang_server` adds it in the process.
    """

    name: Final = "SGLang"
    kinds: Final = (DeviceKind.CUDA,)
    options: Final = sglang_options.OPTIONS
    refused_options: Final = sglang_options.REFUSED
    lacks: Final = sglang_options.LACKS
    own_names: Final = sglang_options.OWN_NAMES

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
                *launching.companions_terms(demand),
                # An allowance, not measured here: the context and libraries of one process, and its captured graphs.
                overhead_term(("CUDA context", 600 * MIB), ("CUDA graphs", 1 * GIB)),
            )
        )

    def environment(self, kind: DeviceKind) -> Environment:
        return Environment("3.11", ("sglang==0.5.23",), False, "sglang-cuda", ("sglang",), (), _DISK_BYTES)

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        flags = _flags(model, uid, demand, placement) | _feature_flags(demand) | dict(options)
        return Launch(
            argv=(*launching.isolated("slipway.engines.sglang_server"), *flag_pairs(flags)),
            env={**launching.OFFLINE, **launching.visible_gpus(placement)},
            secret_variable=launching.SECRET_VARIABLE,
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=600),  # compilation and graph capture
            files=launching.template_files(model),
            also_serves=launching.adapter_names(uid, demand),
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
    stages = demand.features.pipeline_parallel or 1
    flags: dict[str, Any] = {
        "model_path": launching.model_path(model),
        "served_model_name": uid,
        "host": "127.0.0.1",
        "port": "{port}",
        "context_length": demand.context_length,
        "max_running_requests": launching.sequences(demand),
        "chunked_prefill_size": _PREFILL_TOKENS,
        "tp_size": placement.count // stages,
        "mem_fraction_static": demand.features.memory_fraction or _GPU_FRACTION,
        "load_format": "safetensors",  # never a pickle beside them
        "dtype": "auto",  # the checkpoint's own 16 bits
        "enable_metrics": True,
    }
    if stages > 1:
        flags["pp_size"] = stages
    parser, thoughts = launching.tool_parser(model), model.family.reasoning_parser
    if parser is not None:
        flags["tool_call_parser"] = sglang_options.TOOL_PARSERS.get(parser, parser)
    if thoughts is not None:
        flags["reasoning_parser"] = sglang_options.REASONING_PARSERS.get(thoughts, thoughts)
    if model.family.chat_template is not None:
        flags["chat_template"] = f"{{files}}/{launching.TEMPLATE_FILE}"
    return flags


def _feature_flags(demand: Demand) -> dict[str, Any]:
    features = demand.features
    flags: dict[str, Any] = {}
    if features.quantization_method is not None:
        flags["quantization"] = features.quantization_method
    if features.lora:  # SGLang itself reads the model name ``uid:name`` as an adapter of the model
        flags |= {"enable_lora": True, "max_loras_per_batch": len(features.lora) + 1, "max_lora_rank": _LORA_RANKS}
        flags["lora_paths"] = tuple(f"{name}={path}" for name, path in features.lora)
    if features.draft_model is not None:
        flags |= _drafting(features)
    return flags


def _drafting(features: Features) -> dict[str, Any]:
    """Drafted tokens and the one that the model itself adds make up a step's."""
    steps = features.draft_tokens or _DRAFT_STEPS
    if features.draft_model == launching.NGRAM:
        return {"speculative_algorithm": "NGRAM", "speculative_num_draft_tokens": steps + 1}
    return {
        "speculative_algorithm": "STANDALONE",
        "speculative_draft_model_path": features.draft_model,
        "speculative_num_steps": steps,
        "speculative_eagle_topk": 1,
        "speculative_num_draft_tokens": steps + 1,
    }
