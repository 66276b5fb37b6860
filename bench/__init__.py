"""Benchmarks: each one runs on its own, `python -m bench.<name>`, and prints a Markdown table."""
