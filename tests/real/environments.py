"""The engines' environments that the real tests run in: made by Slipway from its locks, and kept between runs."""

import os
import threading
from pathlib import Path

from slipway.engines import find_engine
from slipway.runtime.environment_build import build
from slipway.runtime.environments import Environments
from slipway.types import DeviceKind

SHARED = Path(os.environ.get("SLIPWAY_TEST_ENVIRONMENTS") or "~/.cache/slipway-tests/environments").expanduser()


def engine_python(name: str) -> Path:
    """The interpreter of an engine's environment for CPUs, made first where it is not there yet."""
    SHARED.mkdir(parents=True, exist_ok=True)

    def tell(doing: str) -> None:
        print(f"  {name}: {doing}", flush=True)

    held = Environments(SHARED, build).hold(find_engine(name).environment(DeviceKind.CPU), tell, threading.Event())
    held.close()
    return held.python
