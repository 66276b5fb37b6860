"""A stand-in for torchvision, which has no build beside torch's CPU release: SGLang imports it, for images only.

Whatever is taken from it can be named; to use it raises.
"""

from typing import NoReturn

__version__ = "0.28.0"  # torch 2.13's


class Absent:
    """Something of torchvision that only images need. Raises NotImplementedError when it is called."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise NotImplementedError("the test rig has no torchvision: it serves text models only")

    def __call__(self, *args: object) -> NoReturn:
        raise NotImplementedError("the test rig has no torchvision: it serves text models only")


def __getattr__(name: str) -> type[Absent]:
    if name.startswith("_"):
        raise AttributeError(name)
    return Absent
