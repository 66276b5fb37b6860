"""One engine process: started in a session of its own with its log kept, ended with all of that session.

The engine's standard input is a pipe held open by this process, so an engine of ours ends when this process is gone.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.runtime.engine_log import open_log
from slipway.types import Launch

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SYSTEMROOT")
_PASSED_PREFIXES = ("CUDA_", "NVIDIA_", "HIP_", "ROCR_", "NCCL_", "VLLM_", "SGLANG_", "OMP_", "GOMP_")
_KILLED_S = 5.0  # how long a killed process may take to be gone; in the kernel's hands it may be for ever

log = logging.getLogger(__name__)


@dataclass(slots=True)
class EngineProcess:
    """A running engine. ``secret`` is what it was launched with; requests carry it as a bearer token."""

    process: asyncio.subprocess.Process
    port: int
    log_path: Path
    secret: str = field(repr=False)

    @classmethod
    async def start(
        cls, launch: Launch, log_path: Path, port: int, python: Path = Path(sys.executable)
    ) -> "EngineProcess":
        """Start the engine on ``port`` with its environment's interpreter. Raises OSError if it cannot be run."""
        secret = secrets.token_urlsafe(32)
        files = _write_files(launch.files, log_path.with_suffix(".files"))
        placeholders = {"{python}": str(python), "{port}": str(port), "{files}": str(files)}
        argv = [_fill(word, placeholders) for word in launch.argv]
        env = _environment({name: _fill(value, placeholders) for name, value in launch.env.items()})
        env["PATH"] = os.pathsep.join(filter(None, (str(python.parent), env.get("PATH"))))  # its own tools: ninja
        env[launch.secret_variable] = secret
        with open_log(log_path) as log_file:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                env=env,
                start_new_session=True,
            )
        return cls(process, port, log_path, secret)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wait(self) -> int:
        """The exit code, negative for a signal, once the process has ended."""
        return await self.process.wait()

    async def stop(self, grace_s: float) -> int | None:
        """Ask the engine to end, wait ``grace_s`` seconds, then kill its session. The exit code; None: not gone yet."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process would not see the first
        try:
            if not await self._ended(grace_s):
                self._signal(signal.SIGKILL)
                if not await self._ended(_KILLED_S):
                    log.error("process %d of %s does not end, even killed", self.pid, self.log_path.stem)
        finally:
            self._signal(signal.SIGKILL)  # what the engine started and left behind
            if self.process.stdin is not None:
                self.process.stdin.close()
        return self.process.returncode

    async def _ended(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def _write_files(files: Mapping[str, str], directory: Path) -> Path:
    """Write what a launch wants beside its log, such as a chat template."""
    if files:
        directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def _fill(text: str, placeholders: Mapping[str, str]) -> str:
    for name, value in placeholders.items():
        text = text.replace(name, value)
    return text


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """What the engine sees: little of our environment (never our keys or hub tokens), then its own variables."""
    kept = {k: v for k, v in os.environ.items() if k in _PASSED_ON or k.startswith(_PASSED_PREFIXES)}
    return {**kept, "PYTHONUNBUFFERED": "1", **own}
