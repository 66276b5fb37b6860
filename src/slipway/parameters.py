"""The launch parameters, defined once: the command line, the API and the docs are derived from this table.

A parameter's ``api`` name is the one Xinference's clients send to POST /v1/models; its flags are the seed pages'.
Whatever is not in the table is an engine option and is checked against the chosen engine's schema.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.errors import BadRequest


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
    n_gpu: int | None = None  # None: as many as it needs; 0: run on the CPU
    gpu_indexes: tuple[int, ...] = ()
    context_length: int | None = None
    parallel: int | None = None
    engine_options: Mapping[str, Any] = field(default_factory=dict)


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
    Parameter("model_name", ("--model-name", "-n"), "model_name", "family to launch; see `slipway engine`", _text),
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
    fields: dict[str, Any] = {}
    for parameter in PARAMETERS:
        if parameter.api in given:
            fields[parameter.field] = _read(parameter, given.pop(parameter.api))
    if "model_name" not in fields:
        if "model_path" not in fields:
            raise BadRequest("model_name is missing: name a family, or give model_path", param="model_name")
        fields["model_name"] = ""
    return LaunchRequest(**fields, engine_options=given)


def _read(parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.read(value)
    except ValueError as error:
        raise BadRequest(f"{parameter.flags[0]} ({parameter.api}) is {value!r}: {error}", param=parameter.api) from None


def _check_model_type(value: Any) -> None:
    if str(value).upper() != "LLM":
        raise BadRequest(f"model_type is {value!r}: only LLM models are served", param="model_type")
