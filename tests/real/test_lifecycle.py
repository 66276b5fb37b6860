"""Launching, sharing the machine, dying and ending, with real engines: what is promised holds, and nothing is left."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import slipway
from slipway.runtime.ports import free_port
from tests.real.server import BIN, LIMIT_S, Server, alive, running_server, until

pytestmark = pytest.mark.engine

PILOT = Path(slipway.__file__).parent / "pilot" / "pilot-q8_0.gguf"
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


def phase(server: Server, uid: str) -> str:
    return str(server.ask("GET", f"/v1/models/{uid}")[1]["phase"])


def engine_pid(server: Server, uid: str) -> int:
    return int(server.ask("GET", f"/v1/models/{uid}")[1]["replicas"][0]["pid"])


def test_the_lines_of_the_model_pages_work_as_they_are_written(server: Server) -> None:
    done = server.run(
        "launch", "--model-engine", "llama.cpp", "--model-name", "pilot", "--size-in-billions", "0_005",
        "--model-format", "ggufv2", "--quantization", "q8_0", program="xinference",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pilot" in server.run("list", program="xinference").stdout
    assert "Paris" in server.chat("pilot", CAPITAL)["content"]
    assert server.run("terminate", "--model-uid", "pilot", program="xinference").returncode == 0
    assert server.ask("GET", "/v1/models/pilot")[0] == 404
    assert server.children() == []


def test_a_file_of_the_user_is_launched_under_the_name_given(server: Server, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    shutil.copy(PILOT, own)
    assert server.run("launch", "--model-path", str(own), "--model-uid", "mine").returncode == 0
    assert "Paris" in server.chat("mine", CAPITAL)["content"]
    assert server.run("terminate", "--model-uid", "mine").returncode == 0


def test_a_second_launch_of_a_uid_is_refused_and_the_first_serves_on(server: Server) -> None:
    assert server.run("launch", "--model-name", "pilot").returncode == 0
    status, answer = server.ask("POST", "/v1/models", {"model_name": "pilot"})
    assert status == 409
    assert "already launched as 'pilot'" in answer["error"]["message"]
    assert "Paris" in server.chat("pilot", CAPITAL)["content"]
    assert server.run("terminate", "--model-uid", "pilot").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.gguf", PILOT.read_bytes()[:2_000_000] if PILOT.exists() else b"", "truncated"),
        ("page.gguf", b"<!DOCTYPE html><html></html>", "looks like a web page"),
        ("empty.gguf", b"", "empty"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_a_sentence(
    server: Server, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = server.run("launch", "--model-path", str(tmp_path / name))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert server.children() == []


def test_a_directory_with_no_model_and_a_context_too_long_are_refused(server: Server, tmp_path: Path) -> None:
    assert "no model" in server.run("launch", "--model-path", str(tmp_path)).stderr
    done = server.run("launch", "--model-name", "pilot", "--context-length", "999999")
    assert (done.returncode, "reads at most" in done.stderr) == (2, True)


def test_what_does_not_fit_is_refused_with_the_terms(server: Server) -> None:
    done = server.run("launch", "--model-name", "qwen1.5-chat", "--size-in-billions", "110", "--model-format", "ggufv2")
    assert done.returncode == 2  # there is no such spec
    argv = ("launch", "--model-name", "pilot", "--parallel", "100000")
    done = server.run(*argv)
    assert done.returncode == 1
    assert "kv_cache" in done.stderr
    assert "free on cpu" in done.stderr


def test_an_engine_that_cannot_start_is_told_with_its_own_words(server: Server) -> None:
    done = server.run("launch", "--model-name", "pilot", "--cache-type-k", "q4_0", "--flash-attn-type", "disabled",
                      "--cache-type-v", "q4_0")  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "llama.cpp exited with code 1 while starting" in done.stderr
    assert "V cache" in done.stderr, "the cause is in words"
    assert "slipway logs pilot" in done.stderr
    assert phase(server, "pilot") == "failed"
    assert server.children() == []
    assert server.run("launch", "--model-name", "pilot").returncode == 0, "a failed launch can be asked for again"
    assert server.run("terminate", "--model-uid", "pilot").returncode == 0


def test_a_killed_engine_is_named_and_leaves_nothing(server: Server) -> None:
    assert server.run("launch", "--model-name", "pilot").returncode == 0
    os.kill(engine_pid(server, "pilot"), signal.SIGKILL)
    until(lambda: phase(server, "pilot") == "failed", "the death is seen")
    status, answer = server.ask("POST", "/v1/chat/completions", {"model": "pilot", "messages": CAPITAL})
    assert status in {502, 503}
    assert "SIGKILL" in answer["error"]["message"]
    assert server.children() == []
    assert server.run("terminate", "--model-uid", "pilot").returncode == 0


def test_two_models_on_one_machine_share_its_cores(server: Server) -> None:
    """Together they must answer at least half as much as one alone: with threads that spin it was a tenth."""
    assert server.run("launch", "--model-name", "pilot", "--model-uid", "first").returncode == 0
    alone = answered(server, ["first"])
    assert server.run("launch", "--model-name", "pilot", "--model-uid", "second").returncode == 0
    together = answered(server, ["first", "second"])
    print(f"\nanswers in 3 s: one model alone {alone}, two together {together}")
    for uid in ("first", "second"):
        assert server.run("terminate", "--model-uid", uid).returncode == 0
    assert together >= 0.5 * alone


def answered(server: Server, uids: list[str], seconds: float = 3.0) -> int:
    """How many answers of 32 tokens come in, one client on each model."""
    end = time.monotonic() + seconds

    def client(uid: str) -> int:
        count = 0
        while time.monotonic() < end:
            server.chat(uid, CAPITAL, max_tokens=32, ignore_eos=True)
            count += 1
        return count

    with ThreadPoolExecutor(len(uids)) as pool:
        return sum(pool.map(client, uids))


def test_a_server_that_is_killed_takes_its_engines_along(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert server.run("launch", "--model-name", "pilot", "--replica", "2").returncode == 0
        until(lambda: len(server.children()) == 2, "both replicas run")
        engines = server.children()
        server.process.kill()
        server.process.wait(LIMIT_S)
        until(lambda: not any(alive(pid) for pid in engines), "the engines have ended")


def test_a_taken_port_is_a_sentence(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = server.run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_chat_without_a_server_brings_one_up_and_leaves_nothing(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("SLIPWAY_")}
    env |= {"SLIPWAY_HOME": str(tmp_path), "SLIPWAY_PORT": str(free_port())}
    done = subprocess.run(
        [str(BIN / "slipway"), "chat", "--prompt", "What is the capital of France?"],
        env=env, capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert (done.returncode, "Paris" in done.stdout) == (0, True), done.stderr
    until(lambda: not commands_with(str(tmp_path)), "no process is left")


def commands_with(text: str) -> list[int]:
    """Processes whose environment names ``text``: SLIPWAY_HOME of this test."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_the_estimate_is_within_a_fifth_of_the_measured_peak(server: Server) -> None:
    assert server.run("launch", "--model-name", "pilot").returncode == 0
    for _ in range(4):
        server.chat("pilot", [{"role": "user", "content": "word " * 700}], max_tokens=16)
    status = Path(f"/proc/{engine_pid(server, 'pilot')}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    estimate = server.ask("GET", "/v1/models/pilot")[1]["memory"]
    print(f"\npilot: estimated {estimate['total_bytes'] / 1e6:.1f} MB, measured peak {peak / 1e6:.1f} MB")
    print(json.dumps(estimate["terms"], indent=1))
    assert server.run("terminate", "--model-uid", "pilot").returncode == 0
    assert 0.8 <= estimate["total_bytes"] / peak <= 1.2
