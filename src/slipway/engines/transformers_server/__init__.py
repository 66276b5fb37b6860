"""Slipway's own server around the Transformers library; it runs in that engine's environment, not in Slipway's."""
