"""uv as a child: what its lines mean, how it ends, and what is said when it fails."""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from slipway.errors import Cancelled, DiskFull, EnvironmentFailed
from slipway.runtime.uv import Command, Progress, failed, find_uv, run
from tests.runtime.test_process import alive, until_gone

NEVER = threading.Event()


def nothing(_: str) -> None: ...


def python(script: str, *words: str) -> Command:
    return Command((sys.executable, "-c", script, *words), os.environ, Path.cwd())


def test_lines_become_progress() -> None:
    progress = Progress(75)
    lines = {
        "Using Python 3.11.7 environment at: x": "fetching 75 packages",
        "Resolved 75 packages in 1.82s": "fetching 75 packages",
        "Downloading torch (100.0MiB)": "fetching torch: 0 KiB of 100.0 MiB",
        "Downloading pandas (20.0MiB)": "fetching torch, pandas: 0 KiB of 120.0 MiB",
        "   Building pypcre==0.6.4": "fetching torch, pandas; building pypcre: 0 KiB of 120.0 MiB",
        " Downloaded pandas": "fetching torch; building pypcre: 20.0 MiB of 120.0 MiB",
        "      Built pypcre==0.6.4": "fetching torch: 20.0 MiB of 120.0 MiB",
        " Downloaded torch": "fetching 75 packages",
        "Prepared 53 packages in 35.17s": "unpacking 75 packages",
        "Installed 75 packages in 484ms": "75 packages installed",
        " + yarl==1.25.1": "75 packages installed",
    }
    assert {line: progress.read(line) for line in lines} == lines


def test_it_returns_the_last_lines_and_tells_each_without_secrets() -> None:
    told: list[str] = []
    script = "import sys; print('one'); print('from https://me:word@host', file=sys.stderr)"
    assert set(run(python(script), "trying", told.append, NEVER)) == {"one", "from https://***@host"}
    assert set(told) == {"one", "from https://***@host"}


def test_a_failure_has_the_programs_own_last_lines() -> None:
    with pytest.raises(EnvironmentFailed, match=r"(?s)trying failed \(exit code 7\).*\| line 39$") as caught:
        run(python("for n in range(40): print('line', n)\nraise SystemExit(7)"), "trying", nothing, NEVER)
    assert "line 20" not in caught.value.message


def test_a_full_disk_is_recognised() -> None:
    error = failed("making it", 2, ("error: failed to write", "  Caused by: No space left on device (os error 28)"))
    assert isinstance(error, DiskFull)


def test_cancelled_it_is_gone_with_all_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = (
        "import os, pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()} {child.pid}')\n"
        "print('begun', flush=True)\n"
        "time.sleep(60)\n"
    )
    cancel = threading.Event()
    began = time.monotonic()
    with pytest.raises(Cancelled, match="trying was cancelled"):
        run(python(script, str(note)), "trying", lambda line: cancel.set(), cancel)
    assert time.monotonic() - began < 30
    for pid in map(int, note.read_text().split()):
        asyncio.run(until_gone(pid))
        assert not alive(pid)


def test_the_program_comes_with_its_package() -> None:
    assert os.access(find_uv(), os.X_OK)
