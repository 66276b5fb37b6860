"""What the server counts, as Prometheus reads it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from slipway.engines.transformers_server.run import Run


@dataclass(slots=True)
class Metrics:
    requests: int = 0
    in_progress: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0

    @contextmanager
    def running(self, prompt_tokens: int, run: Run) -> Iterator[None]:
        """Count a request from here to the end of the block."""
        self.requests += 1
        self.in_progress += 1
        self.prompt_tokens += prompt_tokens
        try:
            yield
        finally:
            self.in_progress -= 1
            self.generated_tokens += sum(choice.completion_tokens for choice in run.choices)

    def as_text(self) -> str:
        lines = []
        for name, kind, value in (
            ("requests_total", "counter", self.requests),
            ("requests_in_progress", "gauge", self.in_progress),
            ("prompt_tokens_total", "counter", self.prompt_tokens),
            ("generated_tokens_total", "counter", self.generated_tokens),
        ):
            lines += [f"# TYPE slipway_engine_{name} {kind}", f"slipway_engine_{name} {value}"]
        return "\n".join(lines) + "\n"
