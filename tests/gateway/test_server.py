"""Starting and stopping: one line when ready, a sentence when not, nothing cut off that can be finished."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession

import slipway
from slipway.errors import BadRequest, PortInUse
from slipway.server import listen, serve
from slipway.settings import Settings
from tests.gateway.stage import BOUND_S, Engine, FakeControl, error_in, until

ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]

    async def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Exit code and the rest of the output."""
        self.process.send_signal(number)
        out, _ = await asyncio.to_thread(self.process.communicate, None, BOUND_S)
        return self.process.returncode, out


@contextlib.contextmanager
def running_server(home: Path, engine: Engine) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.serving", str(home), "0", engine.address],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        head = f"Slipway {slipway.__version__} is ready at http://127.0.0.1:"
        assert line.startswith(head)
        yield Server("http://127.0.0.1:" + line.removeprefix(head), process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ready_line_then_signal_then_exit_0(tmp_path: Path, engine: Engine, number: signal.Signals) -> None:
    with running_server(tmp_path, engine) as server:
        async with ClientSession() as session, session.get(server.url + "/health") as response:
            assert response.status == 200
        assert await server.stop(number) == (0, "controller closed\n")


async def test_requests_under_way_are_finished(tmp_path: Path, engine: Engine) -> None:
    asked = {"model": "tiny", "stream": True, "fake": {"chunks": 4, "chunk_delay_s": 0.1}}
    with running_server(tmp_path, engine) as server:
        async with ClientSession() as session, session.post(server.url + "/v1/completions", json=asked) as response:
            await response.content.readany()
            stopping = asyncio.ensure_future(server.stop(signal.SIGTERM))
            assert (await response.read()).endswith(b"data: [DONE]\n\n")
            assert await stopping == (0, "controller closed\n")


async def test_requests_that_outlast_the_grace_are_ended_with_an_error(tmp_path: Path, engine: Engine) -> None:
    asked = {"model": "tiny", "stream": True, "fake": {"chunks": 10_000, "chunk_delay_s": 0.02}}
    with running_server(tmp_path, engine) as server:
        async with ClientSession() as session, session.post(server.url + "/v1/completions", json=asked) as response:
            await response.content.readany()
            stopping = asyncio.ensure_future(server.stop(signal.SIGTERM))
            got = await response.read()
            code, out = await stopping
    assert b"[DONE]" not in got
    assert b"server is stopping" in got.rsplit(b"data: ", 1)[1]
    assert (code, out) == (0, "controller closed\n")


async def test_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with listen(Settings(tmp_path, port=0)) as taken:
        port = taken.getsockname()[1]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tests.gateway.serving", str(tmp_path), str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
    assert done.returncode == PortInUse.exit_code
    assert done.stdout == ""
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr


async def test_whole_answers_that_outlast_the_grace_are_refused(tmp_path: Path, engine: Engine) -> None:
    with running_server(tmp_path, engine) as server:
        async with ClientSession() as session:
            asked = session.post(server.url + "/v1/completions", json={"model": "tiny", "fake": {"hang": True}})
            before = len((await engine.record())["requests"])
            asking = asyncio.ensure_future(asyncio.wait_for(asked, BOUND_S))
            await until(lambda: engine.was_asked(before))
            stopping = asyncio.ensure_future(server.stop(signal.SIGTERM))
            response = await asking
            assert response.status == 503
            assert error_in(await response.json())["code"] == "server_stopping"
            assert await stopping == (0, "controller closed\n")


async def test_signal_while_the_controller_opens(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.gateway.serving",
        str(tmp_path),
        "0",
        "slow-to-open",
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(BOUND_S):
        assert await process.stdout.readline() == b"opening\n"
        process.send_signal(signal.SIGTERM)
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"controller closed\n")


@pytest.mark.parametrize("host", ["host.invalid", "192.0.2.1"])
def test_host_that_is_not_here(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadRequest, match="cannot listen"):
        listen(Settings(tmp_path, host=host, port=0))


def test_exposed_server_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    async def never() -> FakeControl:
        raise AssertionError("opened")

    with pytest.raises(BadRequest, match="SLIPWAY_API_KEYS"):
        serve(Settings(tmp_path, host="0.0.0.0", port=0), never)  # noqa: S104 - refused


def test_ipv6_loopback(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with listen(Settings(tmp_path, host="::1", port=0)) as listener:
            assert listener.family == socket.AF_INET6
    except BadRequest:
        pytest.skip("no IPv6 loopback here")
