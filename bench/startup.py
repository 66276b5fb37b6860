"""How long the command line, the server and a launch take, and what the server keeps resident."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.table import Row, median

_LIMIT_S = 60.0
_SLIPWAY = Path(sys.executable).parent / "slipway"


def command_line(rounds: int = 15) -> list[Row]:
    """Wall time of `slipway --help`, beside a bare interpreter."""
    helped = median(_timed([str(_SLIPWAY), "--help"]) for _ in range(rounds))
    bare = median(_timed([sys.executable, "-c", "pass"]) for _ in range(rounds))
    return [
        Row("`slipway --help`", f"{helped:.3f} s", "≤ 0.12 s", helped <= 0.12, f"a bare interpreter: {bare:.3f} s"),
    ]


def server(rounds: int = 7) -> list[Row]:
    """From the start of `slipway serve` to its first answer; then its resident memory with the pilot launched."""
    ready, first, resident = [], [], []
    for _ in range(rounds):
        with running_server() as (endpoint, pid, ready_s):
            ready.append(ready_s)
            first.append(launch_to_first_token(endpoint))
            resident.append(resident_bytes(pid) / 1e6)
    return [
        Row("server ready", f"{median(ready):.2f} s", "≤ 0.6 s", median(ready) <= 0.6, f"median of {rounds}"),
        Row(
            "POST /v1/models to the pilot's first streamed token",
            f"{median(first):.2f} s",
            "≤ 0.6 s",
            median(first) <= 0.6,
            f"median of {rounds}",
        ),
        Row(
            "server resident, one model launched",
            f"{median(resident):.0f} MB",
            "≤ 90 MB",
            median(resident) <= 90,
            "VmRSS of the server process; the engine is another",
        ),
    ]


@contextlib.contextmanager
def running_server() -> Iterator[tuple[str, int, float]]:
    """A server on a free port with an empty home: its endpoint, pid and seconds from start to first answer."""
    from slipway.runtime.ports import free_port

    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(_SLIPWAY), "serve", "--port", str(port)],
            env={**os.environ, "SLIPWAY_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        endpoint = f"http://127.0.0.1:{port}"
        try:
            while not _answers(endpoint + "/health"):
                if process.poll() is not None or time.perf_counter() - started > _LIMIT_S:
                    raise RuntimeError(f"the server did not start (exit code {process.poll()})")
                time.sleep(0.002)
            yield endpoint, process.pid, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(_LIMIT_S)


def launch(endpoint: str, **parameters: object) -> None:
    """Launch the pilot and wait until it is ready."""
    post(endpoint + "/v1/models", {"model_name": "pilot", **parameters}).read()


def launch_to_first_token(endpoint: str) -> float:
    """Seconds from POST /v1/models to the first token of a streamed answer."""
    started = time.perf_counter()
    launch(endpoint)
    question = {"model": "pilot", "stream": True, "messages": [{"role": "user", "content": "Say hello."}]}
    with post(endpoint + "/v1/chat/completions", question) as answer:
        for line in answer:
            if b'"content":"' in line.replace(b'": "', b'":"'):
                return time.perf_counter() - started
    raise RuntimeError("the stream ended without a token")


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def post(url: str, body: object):  # type: ignore[no-untyped-def]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=_LIMIT_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _timed(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
