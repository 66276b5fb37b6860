"""A stand-in for SGLang's kernel package, so that its real server starts on a CPU in tests. Never part of the product.

The release on PyPI has kernels for NVIDIA GPUs only. No ops are registered here, so SGLang takes its native torch
paths; a kernel that is called all the same raises instead of answering wrongly.
"""

from collections.abc import Callable
from typing import NoReturn

__version__ = "0.4.10"  # the release SGLang 0.5.23 asks for


def absent(name: str) -> Callable[..., NoReturn]:
    """A function in place of the kernel ``name``. Raises NotImplementedError when called."""

    def kernel(*args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(f"the test rig has no kernel {name}: SGLang's native path should have been taken")

    return kernel


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.endswith("_cpu"):
        return absent(name)
    raise AttributeError(f"the test rig's sgl_kernel has no {name}")
