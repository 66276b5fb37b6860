"""Whole stack beside the engine alone: the same requests to the gateway, and to an engine with nothing before it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.startup import launch, running_server
from bench.table import Row, median
from bench.wrk import PATH, load

_ROUNDS = 3
_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    key: str = "none"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request, from so many clients at once."""

    clients: int
    tokens: int
    stream: bool

    def in_words(self) -> str:
        how = "streamed" if self.stream else "whole"
        return f"{self.clients} client{'s' * (self.clients > 1)}, {self.tokens} tokens, {how}"

    def body(self) -> dict[str, object]:
        return {
            "model": "pilot",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": self.tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": self.stream,
        }


def stack() -> list[Row]:
    """Requests a second through Slipway over requests a second of the same engine alone, in alternating rounds."""
    kinds = [
        Kind(clients, tokens, stream) for tokens, stream in ((64, False), (64, True), (8, False)) for clients in (1, 8)
    ]
    with running_server() as (endpoint, _, _):
        launch(endpoint, parallel=8)
        with _engine_alone() as alone:
            return [_compare(kind, Target(endpoint), alone) for kind in kinds]


def _compare(kind: Kind, through: Target, alone: Target) -> Row:
    ratios, rates = [], []
    for _ in range(_ROUNDS):
        engine, ours = _rate(alone, kind), _rate(through, kind)
        ratios.append(ours / engine)
        rates.append((ours, engine))
    ratio = median(ratios)
    ours, engine = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    note = f"{ours:.0f} and {engine:.0f} requests/s; ratios {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(f"whole stack ÷ engine alone, {kind.in_words()}", f"{ratio:.3f}", "≥ 0.97", ratio >= 0.97, note)


def _rate(target: Target, kind: Kind) -> float:
    return load(target.url, kind.body(), kind.clients, _SECONDS, target.key, may_close=True).per_second


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
    target = Target(f"http://127.0.0.1:{port}", secret)
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
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {target.key}"}
    request = urllib.request.Request(target.url + PATH, json.dumps(Kind(1, 1, False).body()).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
