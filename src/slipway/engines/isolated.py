"""Runs a module of Slipway with another environment's interpreter: ``python -P isolated.py MODULE ARGUMENTS…``.

Only the package ``slipway`` becomes importable there, from the folder this file lies in: nothing else of Slipway's own
environment. With the standard library only. Processes that the module spawns begin with this file, and find it too.
"""

import importlib.util
import runpy
import sys
from pathlib import Path

PACKAGE = "slipway"


def make_importable(folder: Path) -> None:
    """Let ``import slipway`` find the package in ``folder``, and no other package that lies beside it."""
    if PACKAGE in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package at {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("isolated.py is given the module to run")
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__")


if __name__ in {"__main__", "__mp_main__"}:
    make_importable(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    main()
