"""The estimate for the embedded model against the resident peak of the real engine, with its context filled."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import slipway.pilot
from slipway.catalogue.catalogue import load_catalogue
from slipway.engines import find_engine
from slipway.types import Demand, DeviceKind, Format, Hub, Location, Model, Placement

PILOT = Path(slipway.pilot.__file__).parent / "pilot-q8_0.gguf"
SECRET = "for-this-test"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(not PILOT.is_file(), reason="the embedded model has not been trained yet"),
]


@pytest.mark.parametrize("demand", [Demand(1024, 1), Demand(2048, 1), Demand(2048, 4)], ids=str)
def test_the_estimate_is_within_20_percent_of_the_peak(demand: Demand, tmp_path: Path) -> None:
    family = load_catalogue(tmp_path).family("pilot")
    spec = next(spec for spec in family.specs if spec.format is Format.GGUF)
    where = Location(Hub.LOCAL, str(PILOT), path=PILOT)
    model = Model(family, spec, "q8_0", where, weights_bytes=PILOT.stat().st_size)
    memory = find_engine("llama.cpp").estimate(model, demand, DeviceKind.CPU)
    with running(model, demand) as (process, port):
        for _ in range(demand.parallel):  # one after another: each slot is filled, most of the context each time
            complete(port, demand)
        peak_bytes = peak(process.pid)
    assert memory.total_bytes == pytest.approx(peak_bytes, rel=0.2), memory.in_words()


@contextmanager
def running(model: Model, demand: Demand) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The engine as the runtime would start it, answering; ended at the end."""
    launch = find_engine("llama.cpp").launch(model, "pilot", demand, Placement(DeviceKind.CPU), {})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [part.replace("{python}", sys.executable).replace("{port}", str(port)) for part in launch.argv]
    env = {**os.environ, **launch.env, launch.secret_variable: SECRET}
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    try:
        wait(f"http://127.0.0.1:{port}{launch.ready_path}", process)
        yield process, port
    finally:
        process.kill()
        process.communicate(timeout=20)


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise AssertionError("the engine did not come up")


def complete(port: int, demand: Demand) -> None:
    body: dict[str, Any] = {"prompt": list(range(300, 300 + demand.context_length - 40)), "n_predict": 20}
    body["prompt"] = [token % 2000 for token in body["prompt"]]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/completion",
        json.dumps({**body, "cache_prompt": False}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {SECRET}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
