"""The second version of the transformations: absent too."""

from .. import InterpolationMode, __getattr__

__all__ = ["InterpolationMode", "__getattr__"]
