"""Decoding of images: absent."""

from . import __getattr__

__all__ = ["__getattr__"]
