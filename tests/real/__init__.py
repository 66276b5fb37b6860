"""Tests with the real engine on the shipped model: `scripts/test engines`."""
