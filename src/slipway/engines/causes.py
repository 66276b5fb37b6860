"""Causes of an engine's death in words, from the last lines of its log. Each engine adds what only it says.

llama.cpp's texts were read from the pinned build started on broken files; the others' are those of the libraries named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """``words`` may hold ``{0}``, ``{1}``: the groups that ``pattern`` found."""

    pattern: str
    words: str


# In the order of what they tell: a port in use also ends in "failed to start".
COMMON = (
    Cause(
        r"CUDA out of memory|OutOfMemoryError|cudaErrorMemoryAllocation|CUDA error: out of memory",
        "the GPU ran out of memory: lower --context-length or --parallel, take a smaller quantization or more GPUs",
    ),
    Cause(
        r"std::bad_alloc|^MemoryError|DefaultCPUAllocator: can't allocate memory|Cannot allocate memory",
        "the machine ran out of memory: lower --context-length or --parallel, or take a smaller quantization",
    ),
    Cause(
        r"Address already in use|couldn't bind HTTP server socket|error while attempting to bind|EADDRINUSE",
        "the port chosen for the engine was taken by another program between the choice and the start: launch again",
    ),
    Cause(
        r"CUDA driver version is insufficient|NVIDIA driver on your system is too old",
        "the NVIDIA driver is too old for this engine: update the driver",
    ),
    Cause(
        r"No CUDA GPUs are available|Torch not compiled with CUDA|no CUDA-capable device|Found no NVIDIA driver",
        "no CUDA device is visible to the engine: check the driver and CUDA_VISIBLE_DEVICES, or use --n-gpu 0",
    ),
    Cause(
        r"no kernel image is available for execution",
        "the engine has no kernel for this GPU's generation: use another engine or a newer GPU",
    ),
    Cause(
        r"SafetensorError|HeaderTooLarge|MetadataIncompleteBuffer|InvalidHeaderDeserialization|invalid load key",
        "a weights file is damaged or incomplete: remove it with `slipway remove-cache` and launch again",
    ),
    Cause(
        r"trust_remote_code",
        "the checkpoint wants to run code of its own, which Slipway never does: use a family whose code the engine has",
    ),
    Cause(
        r"ModuleNotFoundError: No module named '([^']+)'|ImportError: cannot import name '([^']+)'",
        "the engine's environment lacks {0}{1}",
    ),
    Cause(
        r"No such file or directory: '([^']+)'|FileNotFoundError: (.+)",
        "a file is missing: {0}{1}",
    ),
    Cause(r"No space left on device", "the disk is full: free some space and launch again"),
    Cause(
        r"^Killed\b|signal 9|SIGKILL|oom-kill|Out of memory: Killed process",
        "the kernel killed the engine, most likely because the machine ran out of memory: lower --context-length or "
        "--parallel, or take a smaller quantization",
    ),
)


def explain(log_tail: Sequence[str], *own: Cause) -> str | None:
    """The first cause that a line tells; an engine's own causes come before those all share."""
    for each in (*own, *COMMON):
        for line in log_tail:
            found = re.search(each.pattern, line, re.IGNORECASE)
            if found:
                return each.words.format(*(group or "" for group in found.groups()))
    return None
