"""The names of image transformations, and the one enumeration that is read at import."""

from enum import Enum

from .. import Absent


class InterpolationMode(Enum):
    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def __getattr__(name: str) -> type[Absent]:
    if name.startswith("_"):
        raise AttributeError(name)
    return Absent
