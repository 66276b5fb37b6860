"""The server's command line: the flags that the Transformers engine's launch writes, and its options."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.engines.transformers_server.tools import PARSERS


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a launch asks for. ``None``: the server chooses."""

    model: Path
    alias: str
    host: str
    port: int
    context_length: int
    parallel: int
    max_batch_tokens: int
    device: str
    dtype: str
    quantize: str | None
    tool_call_parser: str | None
    chat_template: Path | None
    attn_implementation: str | None
    page_size: int | None
    num_blocks: int | None
    max_new_tokens: int | None
    seed: int | None
    compile: bool
    double_quant: bool
    quant_type: str
    min_pixels: int | None
    max_pixels: int | None
    max_tiles: int | None
    log_level: str


def read_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """Ends the process with status 2 and the reason if the flags are not right."""
    return Arguments(**vars(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway.engines.transformers_server", allow_abbrev=False)
    add = parser.add_argument
    add("--model", type=Path, required=True)
    add("--alias", required=True)
    add("--host", choices=("127.0.0.1", "::1"), default="127.0.0.1")
    add("--port", type=int, required=True)
    add("--context-length", type=_positive, required=True)
    add("--parallel", type=_positive, required=True)
    add("--max-batch-tokens", type=_positive, default=2048)
    add("--device", default="cpu")
    add("--dtype", choices=("auto", "bfloat16", "float16", "float32"), default="auto")
    add("--quantize", choices=("4-bit", "8-bit"))
    add("--tool-call-parser", choices=PARSERS)
    add("--chat-template", type=Path)
    add("--attn-implementation", choices=("sdpa", "eager", "flash_attention_2", "flash_attention_3"))
    add("--quant-type", choices=("nf4", "fp4"), default="nf4")
    add("--seed", type=int)
    for name in ("page-size", "num-blocks", "max-new-tokens", "min-pixels", "max-pixels", "max-tiles"):
        add(f"--{name}", type=_positive)
    for name in ("compile", "double-quant"):
        add(f"--{name}", action=argparse.BooleanOptionalAction, default=False)
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} should be at least 1")
    return number
