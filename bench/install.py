"""What a fresh install of the base package weighs and how long it takes, with pip as it is configured."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row

ROOT = Path(__file__).parents[1]


def install() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        before = _bytes(Path(directory))
        started = time.perf_counter()
        pip = [str(Path(directory) / "bin" / "python"), "-m", "pip", "install", "--quiet", str(ROOT)]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        size_mb = (_bytes(Path(directory)) - before) / 1e6
    return [
        Row(
            "base install, size", f"{size_mb:.0f} MB", "≤ 350 MB", size_mb <= 350, "pip and the interpreter not counted"
        ),
        Row("base install, time", f"{seconds:.0f} s", note="pip, with its cache as it was"),
    ]


def _bytes(directory: Path) -> int:
    return sum(file.lstat().st_size for file in directory.rglob("*") if file.is_file() and not file.is_symlink())
