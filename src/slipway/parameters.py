"""The launch parameters, defined once: the command line, the API and the docs are derived from this table.

A parameter's ``api`` name is the one Xinference's clients send to POST /v1/models; its flags are the seed pages'.
Whatever is not in the table is an engine option and is checked against the chosen engine's schema.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.errors import BadRequest
from slipway.types import Family, Features, Hub


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hubs said of a request before it is planned: see `control.look`. Empty where nobody had to be asked."""

    family: Family | None = None  # of a repository that was named instead of a family
    hub: Hub | None = None  # to be preferred where several have the files
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What a user asks for in one launch, validated. None: Slipway chooses and says why."""

    model_name: str
    model_engine: str | None = None
    size: str | None = None  # billions, written with "_" for the point: "0_5"
    format: str | None = None
    quantization: str | None = None
    uid: str | None = None
    replicas: int = 1
    model_path: str | None = None
    download_hub: str | None = None
    engine_python: str | None = None  # an interpreter whose environment has the engine, instead of one that is made
    n_gpu: int | None = None  # None: as many as it needs; 0: run on the CPU
    gpu_indexes: tuple[int, ...] = ()
    context_length: int | None = None
    parallel: int | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    memory_fraction: float | None = None
    quantization_method: str | None = None
    lora: tuple[tuple[str, str], ...] = ()
    draft_model: str | None = None
    draft_tokens: int | None = None
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    seen: Seen = Seen()

    @property
    def features(self) -> Features:
        """Those of its wishes that not every engine can fulfil."""
        return Features(
            self.tensor_parallel,
            self.pipeline_parallel,
            self.memory_fraction,
            self.quantization_method,
            self.lora,
            self.draft_model,
            self.draft_tokens,
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    """One launch parameter: its field in LaunchRequest, its flags, its name in the API, and how a value is read."""

    field: str
    flags: tuple[str, ...]
    api: str
    help: str
    read: Callable[[Any], Any]
    metavar: str = "NAME"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a non-empty text")
    return value.strip()


def _size(value: Any) -> str:
    """0.5, "0.5", "0_5", 7, "7B" -> the catalogue's writing: "0_5", "7"."""
    text = str(value).strip().removesuffix("B").removesuffix("b").replace("_", ".")
    if isinstance(value, bool) or not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("expected billions of parameters, such as 7 or 0_5")
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(".", "_")


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        text = str(value).strip()
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return int(text)

    return read


def _fraction(value: Any) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        number = 0.0
    if isinstance(value, bool) or not 0.01 <= number <= 1:
        raise ValueError("expected a part of a device's memory, from 0.01 to 1")
    return number


def _path(value: Any) -> str:
    """A path, or any other text that an engine may be given as a word of its own."""
    text = _text(value)
    if text.startswith("-") or not text.isprintable():
        raise ValueError("expected a path")
    return text


def _method(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("expected the name of a method, such as fp8")
    return text


def _adapters(value: Any) -> tuple[tuple[str, str], ...]:
    """ "a=/x,b=/y", a list of such, of pairs or of Xinference's objects, or a mapping -> pairs of name and path."""
    if isinstance(value, Mapping):
        value = list(value.get("lora_list", value.items()))
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError("expected NAME=PATH")
    found = tuple(pair for part in parts for pair in _adapter(part))
    if len({name for name, _ in found}) < len(found):
        raise ValueError("expected every adapter to have a name of its own")
    return found


def _adapter(part: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(part, str) and "," in part:
        return _adapters(part)
    if isinstance(part, Mapping):
        part = (part.get("lora_name"), part.get("local_path"))
    pair = part.partition("=")[::2] if isinstance(part, str) else part
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(each, str) for each in pair):
        raise ValueError("expected NAME=PATH")
    name, path = pair[0].strip(), pair[1].strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or not path:
        raise ValueError("expected NAME=PATH, the name of letters, digits and . _ -")
    return ((name, _path(path)),)


def _gpu_count(value: Any) -> int | None:
    return None if value == "auto" else _count(0)(value)


def _indexes(value: Any) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    return tuple(_count(0)(part) for part in parts)


def _uid(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", text):
        raise ValueError("expected letters, digits and . _ : @ + -, at most 128, starting with a letter or digit")
    return text


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model_name", ("--model-name", "-n"), "model_name", "family, or owner/name of a repository", _text),
    Parameter(
        "model_engine", ("--model-engine", "-en"), "model_engine", "vLLM, SGLang, Transformers or llama.cpp", _text
    ),
    Parameter(
        "size",
        ("--size-in-billions", "-s"),
        "model_size_in_billions",
        "billions of parameters, such as 7 or 0_5",
        _size,
        "SIZE",
    ),
    Parameter("format", ("--model-format", "-f"), "model_format", "pytorch, gptq, awq, ggufv2 or ggmlv3", _text),
    Parameter("quantization", ("--quantization", "-q"), "quantization", "such as none, Int4 or q4_k_m", _text),
    Parameter("uid", ("--model-uid", "-u"), "model_uid", "name to serve it under; default: the family's name", _uid),
    Parameter("replicas", ("--replica", "-r"), "replica", "engine processes to balance over", _count(1), "N"),
    Parameter(
        "model_path", ("--model-path", "-mp"), "model_path", "a GGUF file or checkpoint directory here", _text, "PATH"
    ),
    Parameter("download_hub", ("--download-hub", "-dh"), "download_hub", "huggingface or modelscope", _text, "HUB"),
    Parameter("engine_python", ("--engine-python",), "engine_python", "a Python with the engine in it", _text, "PATH"),
    Parameter("n_gpu", ("--n-gpu",), "n_gpu", "GPUs to use: auto, or a number; 0 runs on the CPU", _gpu_count, "N"),
    Parameter("gpu_indexes", ("--gpu-idx",), "gpu_idx", "which GPUs, comma-separated", _indexes, "I,J"),
    Parameter(
        "context_length",
        ("--context-length",),
        "context_length",
        "tokens a request may use; default: what fits, up to the family's",
        _count(64),
        "TOKENS",
    ),
    Parameter("parallel", ("--parallel",), "parallel", "requests answered at once", _count(1), "N"),
    Parameter(
        "tensor_parallel", ("--tensor-parallel",), "tensor_parallel", "GPUs a layer is split over", _count(1), "N"
    ),
    Parameter(
        "pipeline_parallel",
        ("--pipeline-parallel",),
        "pipeline_parallel",
        "stages of layers, one after another",
        _count(1),
        "N",
    ),
    Parameter(
        "memory_fraction",
        ("--memory-fraction",),
        "memory_fraction",
        "part of a device's memory to take",
        _fraction,
        "PART",
    ),
    Parameter(
        "quantization_method", ("--quantization-method",), "quantization_method", "quantize while loading: fp8", _method
    ),
    Parameter(
        "lora",
        ("--lora-modules", "-lm"),
        "lora_modules",
        "LoRA adapters: NAME=PATH, several with commas; each is served as UID:NAME",
        _adapters,
        "NAME=PATH",
    ),
    Parameter(
        "draft_model",
        ("--draft-model",),
        "draft_model",
        "smaller model that drafts tokens: its path, or ngram: from the text so far",
        _path,
        "PATH",
    ),
    Parameter("draft_tokens", ("--draft-tokens",), "draft_tokens", "tokens drafted at once (5)", _count(1), "N"),
)

# Fields Xinference's clients may send that ask nothing of a launch here.
_IGNORED = frozenset(
    {"wait_ready", "enable_virtual_env", "virtual_env_packages", "envs", "worker_ip", "request_limits"}
)


def request_from(values: Mapping[str, Any]) -> LaunchRequest:
    """Build a LaunchRequest from API names and values; null means not given, unknown names become engine options.

    Raises BadRequest naming the parameter at fault.
    """
    given = {key: value for key, value in values.items() if value is not None and key not in _IGNORED}
    _check_model_type(given.pop("model_type", "LLM"))
    if given.pop("trust_remote_code", False):
        raise BadRequest(
            "trust_remote_code is refused: code from a repository is never executed", param="trust_remote_code"
        )
    if str(given.pop("n_worker", 1)) != "1":
        raise BadRequest("n_worker is not 1: a replica runs on one machine", param="n_worker")
    if "peft_model_config" in given:  # as Xinference's clients name adapters
        given.setdefault("lora_modules", given.pop("peft_model_config"))
    fields: dict[str, Any] = {}
    for parameter in PARAMETERS:
        if parameter.api in given:
            fields[parameter.field] = _read(parameter, given.pop(parameter.api))
    if "model_name" not in fields:
        if "model_path" not in fields:
            raise BadRequest("model_name is missing: name a family, or give model_path", param="model_name")
        fields["model_name"] = ""
    return LaunchRequest(**fields, engine_options=given)


def read_parameter(field: str, value: Any) -> Any:
    """One value of the table's parameter for a field of LaunchRequest. Raises BadRequest naming it."""
    return _read(parameter_of(field), value)


def parameter_of(field: str) -> Parameter:
    """The table's line for a field of LaunchRequest."""
    return next(each for each in PARAMETERS if each.field == field)


def _read(parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.read(value)
    except ValueError as error:
        raise BadRequest(f"{parameter.flags[0]} ({parameter.api}) is {value!r}: {error}", param=parameter.api) from None


def _check_model_type(value: Any) -> None:
    if str(value).upper() != "LLM":
        raise BadRequest(f"model_type is {value!r}: only LLM models are served", param="model_type")
