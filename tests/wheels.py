"""Tiny wheels made on the fly, an environment they fill by the real uv in a second, and one that is made up."""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

from slipway.runtime.environments import Making, Record, interpreter
from slipway.types import Environment

TINY = "tinyengine"


def write_wheel(directory: Path, name: str, version: str = "1.0", code: str = "") -> Path:
    """A wheel of one module, with a console script of its name that prints the interpreter's path."""
    directory.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    body = f"{code}\n\ndef main():\n    import sys\n    print(sys.executable)\n"
    files = {
        f"{name}.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    records = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,"]) + "\n"
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def tiny_environment(locks: Path, version: str = "1.0", python: str = "") -> Environment:
    """An environment with one package, and its lock. ``python``: default is the running version."""
    locks.mkdir(exist_ok=True)
    (locks / f"{TINY}-cpu.txt").write_text(f"{TINY}=={version}\n")
    python = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    return Environment(python, (f"{TINY}=={version}",), False, f"{TINY}-cpu", (TINY,), (), 1000)


def made_up(making: Making) -> Record:
    """Builds an environment in name only, for what is asked of those who keep it."""
    interpreter(making.path).parent.mkdir(parents=True)
    interpreter(making.path).symlink_to(sys.executable)
    return Record(making.environment.lock, making.lock.sha256, "3", {TINY: "1.0"}, 1, 1, 0.1, 0.0, "0")


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
