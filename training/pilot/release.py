"""Puts a trained checkpoint in place as the shipped `pilot`: copies, GGUF and truth table, each file atomically."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from training.pilot import truth
from training.pilot.export_gguf import exported_gguf

TRUTH_SEED = 2030
TARGET = Path(__file__).resolve().parents[2] / "src" / "slipway" / "pilot"
FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def replaced(source: Path, target: Path) -> None:
    """Copies `source` beside `target`, then renames."""
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    part.replace(target)


def written_truth(rows: list[dict[str, Any]], target: Path) -> None:
    """Writes a truth table."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    part = target.with_name(target.name + ".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(target)


def released_checkpoint(folder: Path, target: Path) -> None:
    """Copies a trained checkpoint and its tokenizer."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, "model.safetensors"):
        replaced(folder / name, target / name)


def released(folder: Path, target: Path = TARGET) -> None:
    """Ships the checkpoint in `folder`."""
    released_checkpoint(folder, target)
    exported_gguf(target, target / "pilot-q8_0.gguf")
    written_truth(truth.rows(TRUTH_SEED), target / "truth.jsonl")


if __name__ == "__main__":
    released(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET)
