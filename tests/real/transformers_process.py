"""The Transformers engine process, started as the runtime starts it, in the environment that Slipway makes for it."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import slipway
from slipway.engines import isolated
from slipway.runtime.ports import free_port
from tests.real.environments import engine_python
from tests.real.server import until

PILOT = Path(slipway.__file__).parent / "pilot"


@dataclass(frozen=True)
class Engine:
    process: subprocess.Popen[bytes]
    base: str
    secret: str
    log: Path


@contextlib.contextmanager
def running_engine(log: Path, *flags: str) -> Iterator[Engine]:
    """The pilot in bfloat16 on the CPU."""
    port, secret = free_port(), secrets.token_urlsafe(16)
    argv = [
        str(engine_python("Transformers")), "-P", str(isolated.__file__), "slipway.engines.transformers_server",
        "--model", str(PILOT), "--alias", "pilot", "--host", "127.0.0.1", "--port", str(port),
        "--context-length", "2048", "--parallel", "16", "--max-batch-tokens", "2048", "--device", "cpu",
        "--dtype", "bfloat16", "--tool-call-parser", "hermes", *flags,
    ]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "SLIPWAY_ENGINE_SECRET": secret}
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or "answers at" in log.read_text(), "the engine answers")
        assert process.poll() is None, log.read_text()[-2000:]
        yield Engine(process, f"http://127.0.0.1:{port}", secret, log)
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
