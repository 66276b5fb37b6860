"""isolated.py, run by an interpreter that does not have Slipway: the package is importable, its neighbours are not."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from slipway.engines import launching


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with nothing installed."""
    place = tmp_path_factory.mktemp("bare")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(place)
    return place / "bin" / "python"


def run(python: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run([python, *words], capture_output=True, text=True, env=env, timeout=60, check=False)


def isolated(python: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [str(python) if word == "{python}" else word for word in launching.isolated(module)]
    return run(python, *argv[1:], *words)


def test_a_module_of_slipway_runs_where_slipway_is_not_installed(bare_python: Path) -> None:
    assert run(bare_python, "-c", "import slipway").returncode != 0
    told = isolated(bare_python, "slipway.runtime.locking", "--help")
    assert told.returncode == 0, told.stderr
    assert "--upgrade" in told.stdout


def test_nothing_beside_slipway_is_importable(bare_python: Path, tmp_path: Path) -> None:
    probe = (
        "import runpy, sys\n"
        "before = list(sys.path)\n"
        f"runpy.run_path({str(launching.ISOLATED)!r}, run_name='__mp_main__')\n"
        "import slipway.types, importlib.util\n"
        "assert sys.path == before, sys.path\n"
        "print(slipway.__file__, importlib.util.find_spec('aiohttp'), importlib.util.find_spec('launching'))\n"
    )
    told = run(bare_python, "-P", "-c", probe)
    package = launching.ISOLATED.parents[1] / "__init__.py"
    assert told.stdout.split() == [str(package), "None", "None"], told.stderr


def test_a_process_that_is_spawned_finds_slipway_and_does_not_run_the_module_again(
    bare_python: Path, tmp_path: Path
) -> None:
    script = (
        "import multiprocessing, runpy, sys\n"
        "sys.argv = ['isolated.py', 'json.tool', '--help']\n"
        "main = sys.modules['__main__']\n"
        f"main.__file__ = {str(launching.ISOLATED)!r}\n"  # as it is when isolated.py is the program
        "main.__spec__ = None\n"
        f"runpy.run_path({str(launching.ISOLATED)!r}, run_name='__mp_main__')\n"
        "from slipway.types import in_gib\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "    print(pool.map(in_gib, [2048]))\n"
    )
    told = run(bare_python, "-P", "-c", script)
    assert told.stdout.split() == ["['2", "KiB']"], told.stderr


def test_without_a_module_it_says_so(bare_python: Path) -> None:
    told = run(bare_python, "-P", launching.ISOLATED)
    assert told.returncode == 1
    assert "given the module" in told.stderr
    assert sys.modules["slipway"].__file__ is not None
