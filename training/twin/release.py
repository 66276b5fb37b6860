"""Puts a trained twin in place for the tests: the checkpoint and its truth table, each file atomically."""

import sys
from pathlib import Path

from training.pilot.release import released_checkpoint, written_truth
from training.twin.dialogues import rows

TRUTH_SEED = 2030
TARGET = Path(__file__).resolve().parents[2] / "tests" / "twin"


def released(folder: Path, target: Path = TARGET) -> None:
    """Copies the checkpoint in `folder` and writes truth.jsonl."""
    released_checkpoint(folder, target)
    written_truth(rows(TRUTH_SEED), target / "truth.jsonl")


if __name__ == "__main__":
    released(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET)
