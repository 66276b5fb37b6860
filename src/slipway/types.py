"""The words of the project as types: what the catalogue knows, what machines offer, what engines answer.

Everything here is immutable data. `deployment.py` beside it has what is wanted and what is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

# ---------------------------------------------------------------- the catalogue


class Format(StrEnum):
    PYTORCH = "pytorch"
    GPTQ = "gptq"
    AWQ = "awq"
    GGUF = "ggufv2"
    GGML = "ggmlv3"


class Ability(StrEnum):
    CHAT = "chat"
    GENERATE = "generate"
    TOOLS = "tools"
    VISION = "vision"


class Hub(StrEnum):
    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"
    LOCAL = "local"  # a path on this machine: --model-path, or the embedded default model


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a decoder, from which memory is computed. Columns as in the public config.json files.

    ``extra_parameters`` counts what the columns do not describe: a vision tower and its projector.
    """

    name: str  # the class in config.json: Qwen2ForCausalLM
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    vocab: int
    head_dim: int = 0  # 0: hidden // heads
    tied: bool = False  # the output head is the embedding table
    qkv_bias: bool = False
    extra_parameters: int = 0

    @property
    def head_size(self) -> int:
        return self.head_dim or self.hidden // self.heads


@dataclass(frozen=True, slots=True)
class Source:
    """Where one hub keeps a spec. ``repository`` and ``file`` may hold ``{quantization}``."""

    hub: Hub
    repository: str
    quantizations: tuple[str, ...]
    file: str | None = None  # one-file formats: the file's name; None: the files a checkpoint needs
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # quantization -> split files, in order
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One format and size of a family."""

    format: Format
    size: str  # billions of parameters as the pages write it: "7", "0_5"
    quantizations: tuple[str, ...]
    model_id: str  # the "Model ID" of the page: the main hub's repository
    sources: tuple[Source, ...]
    architecture: Architecture | None = None
    weights_bytes: Mapping[str, int] = field(default_factory=dict)  # by quantization, where a hub told the sizes


@dataclass(frozen=True, slots=True)
class Family:
    """A catalogue entry."""

    name: str
    context_length: int
    languages: tuple[str, ...]
    abilities: tuple[Ability, ...]
    description: str
    specs: tuple[Spec, ...]
    tool_parser: str | None = None  # the parser's name in engines that parse: "hermes"
    reasoning_parser: str | None = None
    chat_template: str | None = None  # only where checkpoints lack the one their abilities need
    builtin: bool = True
    detected_from: str | None = None  # the repository or path whose own files say all this; None: a family file does


@dataclass(frozen=True, slots=True)
class Location:
    """The one place a model's files come from: a hub's repository, or a path on this machine."""

    hub: Hub
    repository: str  # for Hub.LOCAL: the path, as text
    revision: str | None = None
    files: tuple[str, ...] = ()  # exact names; empty: the files a checkpoint needs, chosen from the hub's listing
    path: Path | None = None  # where the files are, or will be once fetched: a file or a directory
    served: Path | None = None  # the file made of them for the engine, where that is neither ``path`` nor beside it


@dataclass(frozen=True, slots=True)
class Model:
    """A family, spec and quantization resolved to one location."""

    family: Family
    spec: Spec
    quantization: str
    location: Location
    weights_bytes: int | None = None  # measured from files that are here; None: computed from the architecture

    @property
    def format(self) -> Format:
        return self.spec.format


# ---------------------------------------------------------------- machines and engines


class DeviceKind(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"
    METAL = "metal"


@dataclass(frozen=True, slots=True)
class Gpu:
    kind: DeviceKind
    index: int
    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What this host offers: cores and memory as limited by cgroups and affinity, and its GPUs."""

    cores: int
    memory_bytes: int
    available_bytes: int
    gpus: tuple[Gpu, ...] = ()
    system: str = "Linux"

    @property
    def kinds(self) -> tuple[DeviceKind, ...]:
        """The kinds of device here, fastest first; the CPU is always one."""
        found = tuple(dict.fromkeys(gpu.kind for gpu in self.gpus))
        return (*found, DeviceKind.CPU)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an engine says of a model: on which kinds of device it can run it, or why on none."""

    engine: str
    kinds: tuple[DeviceKind, ...]  # where it can run; empty: nowhere
    here: bool  # one of them is a kind of this machine
    reason: str  # why not, or why not here; for a yes, what it would run on

    @property
    def can(self) -> bool:
        return bool(self.kinds)


@dataclass(frozen=True, slots=True)
class MemoryTerm:
    name: str  # weights, kv_cache, activations, overhead
    bytes: int
    detail: str  # how it was computed, with its numbers


@dataclass(frozen=True, slots=True)
class Memory:
    terms: tuple[MemoryTerm, ...]

    @property
    def total_bytes(self) -> int:
        return sum(term.bytes for term in self.terms)

    def in_words(self) -> str:
        """``weights 4.1 GiB + kv_cache 2.0 GiB + … = 6.8 GiB``."""
        terms = " + ".join(f"{term.name} {in_gib(term.bytes)}" for term in self.terms)
        return f"{terms} = {in_gib(self.total_bytes)}"


@dataclass(frozen=True, slots=True)
class Environment:
    """The Python environment an engine runs in.

    There are three sorts: ``embedded``, the one Slipway itself runs in; one that Slipway makes, from the lock it names;
    and one that the user has named, which has neither and is only looked at.
    """

    python: str  # a version for those that are made ("3.11"), else the interpreter's path
    requirements: tuple[str, ...]
    embedded: bool = False
    lock: str = ""  # a file of engines/locks without its suffix, as engine-kind: "vllm-cpu"
    probe: tuple[str, ...] = ()  # modules that can be imported in one that is fit for use
    without: tuple[str, ...] = ()  # packages that the requirements want and the lock leaves out
    disk_bytes: int = 0  # of one that is made, once it is installed; an allowance where it was not measured

    @property
    def made(self) -> bool:
        """Slipway makes it, on demand."""
        return bool(self.lock)


@dataclass(frozen=True, slots=True)
class Features:
    """What a launch may ask beyond that, in engine-neutral words; not every engine has all. None: not asked."""

    tensor_parallel: int | None = None  # GPUs that each layer is split over
    pipeline_parallel: int | None = None  # stages the layers are split into, each with its GPUs
    memory_fraction: float | None = None  # of a device's memory, for weights and cache together
    quantization_method: str | None = None  # to quantize with while loading: fp8
    lora: tuple[tuple[str, str], ...] = ()  # name and path of each adapter
    draft_model: str | None = None  # the path of a smaller model that drafts tokens, or "ngram": from the text so far
    draft_tokens: int | None = None  # drafted at once
    companions_bytes: int = 0  # measured from the files of the adapters and the draft model

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of those that are asked for."""
        named = (each for each in self.__slots__ if each != "companions_bytes")
        return tuple(name for name in named if getattr(self, name) not in (None, ()))


@dataclass(frozen=True, slots=True)
class Demand:
    """What a launch asks of an engine, in engine-neutral words."""

    context_length: int  # tokens a request may use
    parallel: int  # requests answered at once
    features: Features = Features()


@dataclass(frozen=True, slots=True)
class Placement:
    """The devices a replica runs on. ``present`` is False in a plan made for devices this machine lacks."""

    kind: DeviceKind
    indexes: tuple[int, ...] = ()  # GPU numbers; empty on a CPU, or where none is present
    count: int = 1  # GPUs used (1 on a CPU)
    threads: int = 1
    present: bool = True


@dataclass(frozen=True, slots=True)
class Launch:
    """How an engine process is started. ``{port}`` in argv and env stands for the port chosen at the start.

    So do ``{python}`` for the interpreter of its environment and ``{files}`` for the directory of ``files``.

    The per-launch secret is never here: it is given through the variable named by ``secret_variable``.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    secret_variable: str
    ready_path: str  # answers 200 only when the model is loaded
    ready_timeout_s: float
    files: Mapping[str, str] = field(default_factory=dict)  # name -> text, written before the start
    also_serves: tuple[str, ...] = ()  # model names beside the uid: those of its LoRA adapters


def in_gib(count: int) -> str:
    """A number of bytes for people: ``512 KiB``, ``7.4 MiB``, ``13.2 GiB``."""
    if count < 1024**2:
        return f"{count / 1024:.0f} KiB"
    if count < 1024**3:
        return f"{count / 1024**2:.1f} MiB"
    return f"{count / 1024**3:.1f} GiB"
