"""What the relay costs: Slipway's gateway and a bare relay, each in front of nginx that answers at once, driven by wrk.

`python -m bench.relay` prints the table. Rounds alternate between the two, so that their ratio holds on a busy machine.
"""

import contextlib
import datetime
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.relay_servers import MODEL
from bench.table import Row, markdown, median
from bench.wrk import PATH, Load, load, program
from slipway.runtime.ports import free_port

_LIMIT_S = 30.0
_ROUNDS = 5
_CLIENTS = 32
_TARGET_ADDED_MS, _TARGET_RATE = 0.25, 8000

_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
_REQUEST = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "temperature": 0}

_NGINX = """
worker_processes 1; daemon off; pid {home}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }}
}}
"""


def relay() -> list[Row]:
    """Throughput at 32 clients and latency added at one."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        nginx = stack.enter_context(_nginx(Path(folder)))
        bare = stack.enter_context(_relay("bare", nginx))
        slipway = stack.enter_context(_relay("slipway", nginx))
        targets = (nginx, bare, slipway)
        rounds = [[load(url, _REQUEST, _CLIENTS, seconds=3) for url in targets] for _ in range(_ROUNDS)]
        alone = [[load(url, _REQUEST, 1, seconds=2) for url in targets] for _ in range(_ROUNDS)]
    return [_throughput(rounds), _added(alone)]


def _throughput(rounds: list[list[Load]]) -> Row:
    nginx, bare, slipway = (median(each[place].per_second for each in rounds) for place in range(3))
    ratio = median(each[2].per_second / each[1].per_second for each in rounds)
    return Row(
        f"relay, {_CLIENTS} clients",
        f"{slipway:,.0f} requests/s",
        f"≥ {_TARGET_RATE:,}",
        slipway >= _TARGET_RATE,
        f"{ratio:.2f} of a bare relay ({bare:,.0f}); nginx alone: {nginx:,.0f}",
    )


def _added(rounds: list[list[Load]]) -> Row:
    bare, slipway = (median(each[place].median_ms - each[0].median_ms for each in rounds) for place in (1, 2))
    return Row(
        "relay adds, 1 client",
        f"{slipway:.3f} ms",
        f"≤ {_TARGET_ADDED_MS} ms",
        slipway <= _TARGET_ADDED_MS,
        f"a bare relay adds {bare:.3f} ms",
    )


@contextlib.contextmanager
def _nginx(home: Path) -> Iterator[str]:
    port = free_port()
    config = home / "nginx.conf"
    config.write_text(_NGINX.format(home=home, port=port, answer=json.dumps(_ANSWER)))
    with _running([program("nginx"), "-c", str(config)], lambda: _open(port)):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _relay(kind: str, upstream: str) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _running([sys.executable, "-m", "bench.relay_servers", kind, str(port), upstream], lambda: _open(port)):
        asked = urllib.request.Request(url + PATH, json.dumps(_REQUEST).encode())
        with urllib.request.urlopen(asked, timeout=_LIMIT_S) as response:
            assert json.load(response) == _ANSWER
        yield url


@contextlib.contextmanager
def _running(argv: list[str], ready: Callable[[], bool]) -> Iterator[None]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _LIMIT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"did not start: {' '.join(argv)}")
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(_LIMIT_S)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    print(markdown(relay(), datetime.datetime.now(datetime.UTC).date().isoformat()))
