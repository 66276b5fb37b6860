"""A server for as long as a command lasts: started when none answers, ended with its models however that ends."""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from slipway.client import Client
from slipway.commands.home import check_home
from slipway.commands.parser import client_of
from slipway.errors import SlipwayError
from slipway.runtime.ports import free_port
from slipway.settings import Settings, load_settings

_UP_S = 30.0
_DOWN_S = 30.0
_POLL_S = 0.02
_LOOPBACK = "127.0.0.1"


@contextmanager
def server_for(args: argparse.Namespace) -> Iterator[Client]:
    """The server that was named or that answers at the default address, else one of our own."""
    client = client_of(args)
    named = args.endpoint or os.environ.get("SLIPWAY_ENDPOINT") or os.environ.get("XINFERENCE_ENDPOINT")
    if named or client.healthy():
        yield client
        return
    with _ended_by_signals(), own_server(load_settings()) as own:
        yield own


def serve_argv(port: int) -> list[str]:
    return [sys.executable, "-m", "slipway", "serve", "--host", _LOOPBACK, "--port", str(port), "--stop-on-eof"]


@contextmanager
def own_server(settings: Settings, argv_for: Callable[[int], list[str]] = serve_argv) -> Iterator[Client]:
    """A server on a free port, for us alone: it has a key nobody else knows. Its end is awaited."""
    check_home(settings)
    key = secrets.token_urlsafe(24)
    port = free_port()
    log = settings.logs / "chat-server.log"
    environ = {**os.environ, "SLIPWAY_API_KEYS": key}
    with log.open("ab") as output:
        began_at = output.tell()
        child = subprocess.Popen(
            argv_for(port), stdin=subprocess.PIPE, stdout=output, stderr=output, env=environ, start_new_session=True
        )
        try:
            client = Client(f"http://{_LOOPBACK}:{port}", key)
            _await_up(client, child, log, began_at)
            yield client
        finally:
            _end(child)


def _await_up(client: Client, child: "subprocess.Popen[bytes]", log: Path, began_at: int) -> None:
    deadline_s = time.monotonic() + _UP_S
    while not client.healthy():
        if child.poll() is None and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            continue
        how = f"did not answer in {_UP_S:.0f} s" if child.poll() is None else f"ended with exit code {child.returncode}"
        raise SlipwayError(f"the server of this chat {how}:\n{_tail(log, began_at)}\nthe whole log is {log}")


def _end(child: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, which ends its models too, and SIGKILL where that does not help; Ctrl-C cannot cut this short."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.terminate()
        try:
            child.wait(_DOWN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin is not None:
            child.stdin.close()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack, so that what was started is ended."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(each, leave) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def _tail(log: Path, began_at: int) -> str:
    with log.open("rb") as file:
        file.seek(began_at)
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-15:])
