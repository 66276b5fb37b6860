"""Makes the environment of the rig in a directory: the requirements without their dependencies, and the stand-ins."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
STAND_INS = ("sgl_kernel", "torchvision")


def make_environment(directory: Path) -> Path:
    """The interpreter of the rig's environment, which is made if it is not there. About 2.5 GB.

    Raises CalledProcessError with uv's own words on its output.
    """
    python = directory / "bin" / "python"
    mark = directory / "rig-is-whole"
    if mark.exists() and mark.read_text() == (HERE / "requirements.txt").read_text():
        return python
    links = _pip_option("global.find-links")
    subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", "3.11", str(directory)], check=True)
    wanted = ["--no-deps", "--compile-bytecode", "-r", str(HERE / "requirements.txt")]
    more = [word for link in links.split() for word in ("--find-links", link)]
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), *more, *wanted], check=True)
    (packages,) = (directory / "lib").glob("python3.*/site-packages")
    for name in STAND_INS:
        shutil.copytree(HERE / name, packages / name, dirs_exist_ok=True)
    mark.write_text((HERE / "requirements.txt").read_text())
    return python


def _pip_option(name: str) -> str:
    """pip's configured value; uv does not read pip's configuration."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "get", name], capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    print(make_environment(Path(sys.argv[1]).absolute()))
