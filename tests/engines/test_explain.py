"""Causes of death: llama.cpp's from logs of the pinned build started on broken files, the others' by lines."""

from pathlib import Path

import pytest

from slipway.engines import ENGINES, find_engine
from slipway.engines.base import Engine

LOGS = Path(__file__).parent / "logs"

REAL = {
    "unknown_architecture": "llama.cpp does not implement the architecture mamba9, which the file asks for",
    "truncated": "the model file is truncated or damaged",
    "truncated_header": "the model file is truncated or damaged",
    "empty": "the model file is truncated or damaged",
    "not_gguf": "the model file is not a GGUF file: it begins with 'tjgg'",
    "missing_file": "the model file missing.gguf cannot be opened: No such file or directory",
    "out_of_memory": "the machine ran out of memory when llama.cpp asked for 390625.00 MB",
    "port_in_use": "the port chosen for the engine was taken by another program",
}

# vLLM 0.32.0 for CPUs, started on what the name says: the last lines of its log.
REAL_VLLM = {
    "vllm_unknown_architecture": "this release of vLLM does not know the architecture qwen9",
    "vllm_truncated": "a weights file is damaged or incomplete",
    "vllm_context_too_long": "--context-length 99999 is more than the checkpoint allows",
    "vllm_cache_too_large": "the machine has less memory free than the KV cache takes",
    "vllm_port_in_use": "the port chosen for the engine was taken",
}

LINES = [
    ("vLLM", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "the GPU ran out of memory"),
    ("vLLM", "ValueError: No available memory for the cache blocks. Try increasing", "no memory is left for the KV"),
    (
        "vLLM",
        "ValueError: Free memory on device cuda:0 (3/79 GiB) on startup is less than desired GPU memory utilization",
        "another program holds memory",
    ),
    (
        "vLLM",
        "ValueError: … (16.0 GiB KV cache is needed, which is larger than the available KV cache memory (9.2 GiB).",
        "no memory is left for the KV cache",
    ),
    (
        "vLLM",
        "ValueError: User-specified max_model_len (65536) is greater than the derived max_model_len (32768)",
        "--context-length 65536 is more than the checkpoint allows",
    ),
    ("vLLM", "ValueError: Marlin does not support weight_bits = uint8b128. Only", "no kernel for this quantization"),
    ("vLLM", "ValueError: Model architectures ['Foo'] are not supported for now.", "the architecture ['Foo']"),
    (
        "vLLM",
        "ValueError: Available memory on node 0 (9.1/23.5 GiB) on startup is less than desired CPU memory utilization",
        "less memory free than --memory-fraction asks for",
    ),
    (
        "SGLang",
        "ValueError: The checkpoint has model type `qwen9` but Transformers does not recognize this architecture.",
        "this release of SGLang does not know the architecture qwen9",
    ),
    (
        "SGLang",
        "ValueError: User-specified context_length (9999) is greater than the derived context_length (2048).",
        "--context-length 9999 is more than the checkpoint allows",
    ),
    ("vLLM", "OSError: [Errno 98] Address already in use", "the port chosen for the engine was taken"),
    ("vLLM", "RuntimeError: No CUDA GPUs are available", "no CUDA device is visible"),
    ("SGLang", "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "no memory is left"),
    ("SGLang", "ModuleNotFoundError: No module named 'sgl_kernel'", "the engine's environment lacks sgl_kernel"),
    ("Transformers", "safetensors_rust.SafetensorError: Error while deserializing header", "damaged or incomplete"),
    (
        "Transformers",
        "ValueError: The checkpoint has model type `x` but Transformers does not recognize this architecture.",
        "does not implement the checkpoint's architecture",
    ),
    (
        "Transformers",
        "OSError: Error no file named model.safetensors found in directory /m.",
        "the checkpoint directory holds no weights",
    ),
    ("Transformers", "DefaultCPUAllocator: can't allocate memory: you tried to", "the machine ran out of memory"),
    ("Transformers", "Please pass the argument `trust_remote_code=True`", "which Slipway never does"),
    ("Transformers", "OSError: [Errno 28] No space left on device", "the disk is full"),
    ("llama.cpp", "Killed", "the kernel killed the engine"),
    ("llama.cpp", "E llama_model_load: error loading model: something quite new", "something quite new"),
]


@pytest.mark.parametrize(("log", "cause"), REAL.items())
def test_real_logs_of_llama_cpp(log: str, cause: str) -> None:
    told = find_engine("llama.cpp").explain((LOGS / f"{log}.txt").read_text().splitlines())
    assert told is not None
    assert told.startswith(cause)


@pytest.mark.parametrize(("log", "cause"), REAL_VLLM.items())
def test_real_logs_of_vllm(log: str, cause: str) -> None:
    told = find_engine("vLLM").explain((LOGS / f"{log}.txt").read_text().splitlines())
    assert told is not None
    assert told.startswith(cause)


@pytest.mark.parametrize(("engine", "line", "cause"), LINES)
def test_lines(engine: str, line: str, cause: str) -> None:
    told = find_engine(engine).explain(["INFO starting", line, "INFO stopping"])
    assert told is not None
    assert cause in told


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_log_that_tells_nothing(engine: Engine) -> None:
    assert engine.explain([]) is None
    assert engine.explain(["INFO loading", "INFO listening on 127.0.0.1:8000"]) is None
