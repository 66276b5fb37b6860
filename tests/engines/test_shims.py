"""The start-up modules of vLLM and SGLang: they end with their launcher, and SGLang's key stays out of argv and log."""

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from slipway.engines import launching, sglang_server

LIMIT_S = 60.0


def test_sglangs_start_up_module_reads_the_same_variable() -> None:
    assert sglang_server.SECRET_VARIABLE == launching.SECRET_VARIABLE


def test_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    try:
        sglang_server.keep_out_of_logs("tell-nobody")
        logging.getLogger("sglang").warning("server_args=%s", {"api_key": "tell-nobody", "port": 1})
    finally:
        logging.setLogRecordFactory(before)
    assert "tell-nobody" not in caplog.text
    assert "'port': 1" in caplog.text


def test_the_key_reaches_sglang_in_the_process_and_nowhere_else(tmp_path: Path) -> None:
    """A stand-in for the library says what it was given."""
    package = tmp_path / "sglang"
    (package / "srt").mkdir(parents=True)
    for name in ("__init__.py", "srt/__init__.py"):
        (package / name).write_text("")
    (package / "launch_server.py").write_text("def run_server(args):\n    print(args)\n")
    (package / "srt" / "server_args.py").write_text(
        "import os\ndef prepare_server_args(argv):\n    return argv, 'SLIPWAY_ENGINE_SECRET' in os.environ\n"
    )
    (package / "srt" / "utils.py").write_text("def kill_process_tree(pid, include_parent):\n    print('ended')\n")
    source = Path(launching.__file__).parents[2]
    reading, writing = os.pipe()  # open until the end: a closed one would end the process
    try:
        done = subprocess.run(
            [sys.executable, "-m", "slipway.engines.sglang_server", "--port", "1"],
            env={**os.environ, "PYTHONPATH": f"{source}:{tmp_path}", "SLIPWAY_ENGINE_SECRET": "k"},
            stdin=reading, capture_output=True, text=True, timeout=LIMIT_S,
        )  # fmt: skip
    finally:
        os.close(reading)
        os.close(writing)
    assert done.stdout.splitlines() == ["(['--port', '1', '--api-key', 'k'], False)", "ended"], done.stderr


def test_a_process_and_its_children_end_when_the_launcher_closes_its_input() -> None:
    program = textwrap.dedent("""
        import subprocess, sys
        from slipway.engines.launcher import end_with_launcher
        end_with_launcher()
        child = subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(600)"])
        child.wait()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"child\n"
        process.stdin.close()
        assert process.wait(LIMIT_S) != 0
        assert process.stdout.read() == b""  # the child held its end open: it has ended too
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
