"""Functions on images: absent."""

from . import InterpolationMode, __getattr__

__all__ = ["InterpolationMode", "__getattr__"]
