"""What holds where a request says nothing: generation_config.json, as vLLM and SGLang read it, and the flags."""

import json
from pathlib import Path
from typing import Any

from slipway.engines.transformers_server.wishes import Defaults


def read_defaults(directory: Path, max_new_tokens: int | None, seed: int | None) -> Defaults:
    """Values of the file that are no numbers are left out. Raises ValueError if it is not JSON."""
    file = directory / "generation_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return Defaults(
        temperature=_number(config, "temperature", 1.0),
        top_p=_number(config, "top_p", 1.0),
        top_k=int(max(_number(config, "top_k", 0), 0)),
        min_p=_number(config, "min_p", 0.0),
        repetition_penalty=_number(config, "repetition_penalty", 1.0),
        max_new_tokens=max_new_tokens,
        seed=seed,
    )


def _number(config: dict[str, Any], name: str, default: float) -> float:
    value = config.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
