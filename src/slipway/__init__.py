"""Slipway launches open models on any engine that can run them, behind one OpenAI-compatible address."""

__version__ = "0.1.0"
