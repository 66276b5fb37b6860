"""Whole stack beside the engine alone: the same requests to the gateway, and to an engine with nothing before it."""

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.startup import launch, running_server
from bench.table import Row, median

_ROUNDS = 5
_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    port: int
    model: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    clients: int
    tokens: int
    stream: bool

    def in_words(self) -> str:
        how = "streamed" if self.stream else "whole"
        return f"{self.clients} client{'s' * (self.clients > 1)}, {self.tokens} tokens, {how}"


def stack() -> list[Row]:
    """Requests a second through Slipway over requests a second of the same engine alone, in alternating rounds."""
    loads = [
        Load(1, 64, False),
        Load(8, 64, False),
        Load(1, 64, True),
        Load(8, 64, True),
        Load(1, 8, False),
        Load(8, 8, False),
    ]
    with running_server() as (endpoint, _, _):
        launch(endpoint, parallel=8)
        with _engine_alone() as alone:
            through = Target(int(endpoint.rsplit(":", 1)[1]), "pilot")
            return [_compare(load, through, alone) for load in loads]


def _compare(load: Load, through: Target, alone: Target) -> Row:
    ratios, rates = [], []
    for _ in range(_ROUNDS):
        engine = _rate(alone, load)
        ours = _rate(through, load)
        ratios.append(ours / engine)
        rates.append((ours, engine))
    ratio = median(ratios)
    ours, engine = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    note = f"{ours:.0f} and {engine:.0f} requests/s; ratios {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(f"whole stack ÷ engine alone, {load.in_words()}", f"{ratio:.3f}", "≥ 0.97", ratio >= 0.97, note)


def _rate(target: Target, load: Load) -> float:
    """Requests answered a second, by ``load.clients`` processes' worth of clients in a process of their own."""
    argv = [sys.executable, "-m", "bench.stack", str(target.port), target.model, str(load.clients)]
    argv += [str(load.tokens), str(int(load.stream))]
    env = {**os.environ, "BENCH_SECRET": target.secret}
    done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(done.stdout)


@contextmanager
def _engine_alone() -> Iterator[Target]:
    """The same engine, started with the argv of the same plan, with nothing in front of it."""
    from slipway.control.planner import load_context, plan
    from slipway.parameters import LaunchRequest
    from slipway.runtime.ports import free_port
    from slipway.settings import load_settings

    planned = plan(LaunchRequest("pilot", parallel=8), load_context(load_settings()))
    port, secret = free_port(), "alone"
    argv = [word.replace("{python}", sys.executable).replace("{port}", str(port)) for word in planned.launch.argv]
    env = {**os.environ, **planned.launch.env, planned.launch.secret_variable: secret}
    process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    target = Target(port, "pilot", secret)
    try:
        while not _answers(target):
            if process.poll() is not None:
                raise RuntimeError("the engine did not start")
            time.sleep(0.05)
        yield target
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(target: Target) -> bool:
    try:
        return _ask(http.client.HTTPConnection("127.0.0.1", target.port, timeout=5), target, Load(1, 1, False)) == 200
    except OSError:
        return False


def _ask(connection: http.client.HTTPConnection, target: Target, load: Load) -> int:
    question = {
        "model": target.model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": load.tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": load.stream,
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {target.secret}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _client(target: Target, load: Load, until: float) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    count = 0
    while time.perf_counter() < until:
        if _ask(connection, target, load) != 200:
            raise RuntimeError("a request failed")
        count += 1
    return count


def main(argv: list[str]) -> None:
    """The load process: prints requests answered a second."""
    target = Target(int(argv[0]), argv[1], os.environ.get("BENCH_SECRET", ""))
    load = Load(int(argv[2]), int(argv[3]), bool(int(argv[4])))
    _client(target, load, time.perf_counter() + 0.5)
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(load.clients) as pool:
        asked = [pool.submit(_client, target, load, started + _SECONDS) for _ in range(load.clients)]
        total = sum(each.result() for each in asked)
    sys.stdout.write(f"{total / (time.perf_counter() - started)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
