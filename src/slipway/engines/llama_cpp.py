"""llama.cpp: GGUF on CPUs and Apple GPUs, embedded in Slipway's own environment through xllamacpp."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from slipway.engines import causes, launching, llama_cpp_options
from slipway.engines.architectures import VISION, llama_cpp_has
from slipway.engines.causes import Cause
from slipway.engines.memory import MIB, kv_cache_term, overhead_term
from slipway.engines.weights import known_architecture, weights_term
from slipway.types import (
    Architecture,
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

XLLAMACPP = "xllamacpp==2026.10.11549"

# Waiting threads sleep soon, or two engines on one machine stop each other: docs/decisions/0004-threads.md.
_SHARING: Mapping[str, str] = {"GOMP_SPINCOUNT": "300", "GGML_NO_BACKTRACE": "1"}
_UBATCH = 512  # llama.cpp's n_ubatch: tokens computed at once
_SLOT_MULTIPLE = 256  # each request's share of the context is padded to this
# Measured on Linux with the pinned build, one thread: 24.5 MiB of the library's pages and 16.2 MB of its own memory.
_PROCESS_BYTES = 40 * MIB
_TOKEN_BYTES = 416  # of memory for each token of the vocabulary, measured with 152k tokens and as many merges

_CAUSES = (
    Cause(
        r"unknown model architecture: '([^']*)'",
        "llama.cpp does not implement the architecture {0}, which the file asks for",
    ),
    Cause(
        r"data is not within the file bounds|exceeds remaining file size|failed to read (?:key-value pairs|magic)",
        "the model file is truncated or damaged: it ends before its tensors do; fetch it again",
    ),
    Cause(
        r"invalid magic characters: '(.*)', expected 'GGUF'",
        "the model file is not a GGUF file: it begins with '{0}'",
    ),
    Cause(r"failed to open GGUF file '([^']*)' \(([^)]*)\)", "the model file {0} cannot be opened: {1}"),
    Cause(
        r"insufficient memory \(attempted to allocate ([\d.]+) MB\)",
        "the machine ran out of memory when llama.cpp asked for {0} MB: lower --context-length or --parallel, "
        "or take a smaller quantization",
    ),
    Cause(
        r"n_seq_max must be <= (\d+)",
        "llama.cpp answers at most {0} requests at once: lower --parallel",
    ),
    Cause(
        r"GGML_ASSERT\((.+)\) failed",
        "llama.cpp stopped at a fault of its own or of its options ({0}): leave the engine options out",
    ),
    Cause(
        r"failed to allocate (?:\w+ )?buffer|unable to allocate \w+ buffer|failed to initialize the context",
        "llama.cpp got no memory for its buffers: lower --context-length or --parallel, or take a smaller quantization",
    ),
    Cause(
        r"missing tensor '([^']*)'|tensor '([^']*)' (?:not found|has wrong shape)|wrong number of tensors",
        "the model file does not hold the tensors its architecture needs ({0}{1}): it was converted wrongly",
    ),
    Cause(
        r"unknown pre-tokenizer type: '([^']*)'",
        "llama.cpp does not know the file's tokenizer, {0}: the file was made for another version",
    ),
    Cause(
        r"error loading model: (.+)",
        "llama.cpp could not load the model: {0}",
    ),
    Cause(
        r"slipway: llama\.cpp could not serve .*: (?!Failed to init server)(.+)",
        "llama.cpp could not serve the model: {0}",
    ),
    Cause(r" E (?:\w+ +)?\w+: (.+)", "llama.cpp says: {0}"),
)


class LlamaCpp:
    """llama.cpp's own HTTP server in a child process of Slipway's interpreter."""

    name: Final = "llama.cpp"
    kinds: Final = (DeviceKind.METAL, DeviceKind.CPU)
    options: Final = llama_cpp_options.OPTIONS
    refused_options: Final = llama_cpp_options.REFUSED
    lacks: Final = llama_cpp_options.LACKS
    own_names: Final = llama_cpp_options.OWN_NAMES

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        architecture = model.spec.architecture
        if model.format not in {Format.GGUF, Format.GGML}:
            return (
                f"llama.cpp reads GGUF files, not {model.format} checkpoints: choose a ggufv2 spec or convert the model"
            )
        if architecture is not None and architecture.name in VISION:
            return f"llama.cpp needs a projector file for the images of {architecture.name}; no spec names one yet"
        if architecture is not None and not llama_cpp_has(architecture.name):
            return f"llama.cpp does not implement {architecture.name}"
        if kind not in self.kinds:
            return (
                "the embedded build of llama.cpp computes on CPUs and Apple GPUs; builds for CUDA and ROCm are not on "
                "PyPI, so on this machine it runs on the CPU"
            )
        return None

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        architecture = known_architecture(model)
        vocabulary = (f"vocabulary of {architecture.vocab} tokens", _TOKEN_BYTES * architecture.vocab)
        return Memory(
            (
                weights_term(model),
                kv_cache_term(architecture, demand, _SLOT_MULTIPLE),
                _compute_buffers(architecture, demand),
                *launching.companions_terms(demand),
                overhead_term(("process", _PROCESS_BYTES), vocabulary),
            )
        )

    def environment(self, kind: DeviceKind) -> Environment:
        return Environment(python="", requirements=(XLLAMACPP,), embedded=True)

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        template = model.family.chat_template
        argv = [
            *("{python}", "-m", "slipway.engines.llama_cpp_server"),
            *("--model", launching.model_path(model)),
            *("--alias", uid),
            *("--port", "{port}"),
            *("--context-length", str(demand.context_length)),
            *("--parallel", str(demand.parallel)),
            *("--threads", str(placement.threads)),
            *_feature_words(demand.features),
        ]
        for name, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            argv += [f"--{name.replace('_', '-')}", text]
        return Launch(
            argv=tuple(argv),
            env=_SHARING if template is None else {**_SHARING, launching.TEMPLATE_VARIABLE: template},
            secret_variable=launching.SECRET_VARIABLE,
            ready_path="/health",
            ready_timeout_s=launching.ready_timeout_s(model, base_s=60),
        )

    def explain(self, log_tail: Sequence[str]) -> str | None:
        return causes.explain(log_tail, *_CAUSES)


def _feature_words(features: Features) -> Iterator[str]:
    """llama.cpp applies its adapters to every request: they have no model names of their own."""
    for _, path in features.lora:
        yield from ("--lora", path)
    if features.draft_model is not None:
        yield from ("--draft-model", features.draft_model)
    if features.draft_tokens is not None:
        yield from ("--draft-tokens", str(features.draft_tokens))


def _compute_buffers(architecture: Architecture, demand: Demand) -> MemoryTerm:
    """llama.cpp's compute buffer, reserved for a full micro-batch, and its output buffer.

    Fitted to what the pinned build reserves with flash attention on a CPU, exact to 0.1 MiB for three shapes:
    4 × n_ubatch × (3 × intermediate + 5 × hidden), the attention mask in float16, logits in float32 for each request.
    """
    tokens = -(-demand.context_length // _SLOT_MULTIPLE) * _SLOT_MULTIPLE
    batch = min(_UBATCH, tokens * demand.parallel)
    width = 3 * architecture.intermediate + 5 * architecture.hidden
    total = 4 * batch * width + 2 * batch * tokens + 4 * architecture.vocab * demand.parallel
    detail = (
        f"{batch} tokens × (3 × {architecture.intermediate} + 5 × {architecture.hidden}) × 4 bytes + mask {batch} × "
        f"{tokens} × 2 bytes + logits {demand.parallel} × {architecture.vocab} × 4 bytes"
    )
    return MemoryTerm("activations", total, detail)
