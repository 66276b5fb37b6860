"""Making one environment: room on the disk, uv's venv, the lock's packages, and an import that proves them."""

import importlib.metadata
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from slipway.errors import BadRequest, DiskFull, EnvironmentFailed, SlipwayError
from slipway.runtime import uv
from slipway.runtime.environments import Making, Record, interpreter, tree_bytes
from slipway.runtime.pip_configuration import uv_environment
from slipway.types import Environment, in_gib

LOCK_FILE = "lock.txt"
_SPARE_BYTES = 200 * 1024**2
_INSPECT_S = 60.0
# Prints the version of each module named, importing it; the distribution's name may be another than the module's.
_VERSIONS = """
import importlib, importlib.metadata as metadata, importlib.util, json, sys
found, full = {}, sys.argv[1] == "import"
for name in sys.argv[2:]:
    if full:
        importlib.import_module(name)
    elif importlib.util.find_spec(name) is None:
        raise SystemExit(f"No module named {name}")
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        owners = metadata.packages_distributions().get(name) or [""]
        found[name] = metadata.version(owners[0]) if owners[0] else "?"
print(json.dumps(found))
"""
_PROBED = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "VLLM_NO_USAGE_STATS": "1", "NO_COLOR": "1"}


def build(making: Making) -> Record:
    """Make the environment at ``making.path``. Raises EnvironmentFailed, DiskFull, Cancelled; the caller cleans up."""
    began_s = time.monotonic()
    environment, lock, path = making.environment, making.lock, making.path
    _check_room(environment, path.parent)
    making.tell("making the environment")
    program, env = uv.find_uv(), uv_environment()
    doing = f"making the environment {lock.name}"

    def run(*words: str, tell: uv.Tell = lambda line: None) -> tuple[str, ...]:
        command = uv.Command((program, *words), env, path.parent, (making.lock_descriptor,))
        return uv.run(command, doing, tell, making.cancel)

    run("venv", "--no-project", "--relocatable", "--python", _base_python(environment), str(path))
    (path / LOCK_FILE).write_text(lock.text, encoding="utf-8")
    target = ("--python", str(interpreter(path)))
    progress = uv.Progress(len(lock.pins))
    backend = torch_backend(lock.pins, env, partial(run, "pip", "install", *target, "--dry-run", "--no-deps"))
    making.tell(progress.read(""))
    install = ("pip", "install", *target, "--no-deps", *backend, "-r", str(path / LOCK_FILE))
    run(*install, tell=lambda line: making.tell(progress.read(line)))
    making.tell("checking that it works")
    versions = _probe(making)
    size, seconds = tree_bytes(path), round(time.monotonic() - began_s, 1)
    python, made_at = versions.pop("python"), time.time()
    return Record(environment.lock, lock.sha256, python, versions, len(lock.pins), size, seconds, made_at, uv_version())


def named(python: str, probe: tuple[str, ...]) -> tuple[Environment, dict[str, str]]:
    """An environment the user has named, and the versions of its engine's modules. It is looked at, never changed.

    Raises BadRequest if there is no interpreter, it does not run, or the engine is not there.
    """
    path = Path(python).expanduser().absolute()
    if path.is_dir():
        path = interpreter(path)
    if not os.access(path, os.X_OK) or path.is_dir():
        raise BadRequest(f"--engine-python is {python!r}: no program is there", param="engine_python")
    command = uv.Command((str(path), "-P", "-c", _VERSIONS, "find", *probe), _plain_environment(), Path.cwd())
    expired = threading.Event()
    timer = threading.Timer(_INSPECT_S, expired.set)
    timer.start()
    try:
        lines = uv.run(command, f"looking for {probe[0]} with {path}", lambda line: None, expired)
        return Environment(str(path), ()), json.loads(lines[-1])
    except (SlipwayError, OSError, ValueError, IndexError) as error:
        said = " ".join(str(error).split())[-300:]
        raise BadRequest(
            f"--engine-python {python} cannot run {', '.join(probe)}: {said}; name a Python 3.11 or newer whose "
            "environment has the engine, or leave it out: Slipway makes one",
            param="engine_python",
        ) from None
    finally:
        timer.cancel()


def uv_version() -> str:
    try:
        return importlib.metadata.version("uv")
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _check_room(environment: Environment, root: Path) -> None:
    needed, free = environment.disk_bytes + _SPARE_BYTES, shutil.disk_usage(root).free
    if free < needed:
        raise DiskFull(
            f"the environment of {environment.lock} needs {in_gib(needed)} and {root} has {in_gib(free)} free: "
            "make room, or put Slipway's home elsewhere with SLIPWAY_HOME"
        )


def _base_python(environment: Environment) -> str:
    """Our own interpreter where it is of that version; else uv finds one, or fetches it if the user lets it."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = getattr(sys, "_base_executable", sys.executable)
    return base if ours == environment.python and base else environment.python


def torch_backend(
    pins: Mapping[str, str], env: Mapping[str, str], dry_run: Callable[[str], tuple[str, ...]]
) -> tuple[str, ...]:
    """How uv gets torch's CPU build where pip's own sources have none: from PyTorch's index."""
    torch = pins.get("torch", "")
    if not torch.endswith("+cpu") or sys.platform != "linux" or "UV_TORCH_BACKEND" in env or "UV_NO_INDEX" in env:
        return ()
    try:
        dry_run(f"torch=={torch}")
    except EnvironmentFailed:
        return ("--torch-backend", "cpu")
    return ()


def _probe(making: Making) -> dict[str, str]:
    """Import the engine's modules with the new interpreter; their versions, and Python's."""
    python = str(interpreter(making.path))
    script = f"{_VERSIONS}\nimport platform\nprint(platform.python_version())"
    argv = (python, "-I", "-c", script, "import", *making.environment.probe)
    command = uv.Command(argv, _plain_environment() | _PROBED, making.path, (making.lock_descriptor,))
    *_, versions, version = uv.run(command, f"importing {making.lock.name}", lambda line: None, making.cancel)
    return {**json.loads(versions), "python": version}


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}
