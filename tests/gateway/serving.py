"""A server as a process, for tests of starting and stopping: `python -m tests.gateway.serving HOME PORT [ENGINE]`."""

import asyncio
import sys
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.server import serve
from slipway.settings import Settings
from tests.gateway.stage import FakeControl


class ClosingControl(FakeControl):
    async def close(self) -> None:
        print("controller closed", flush=True)


async def open_control() -> ClosingControl:
    control = ClosingControl()
    if sys.argv[3:] == ["slow-to-open"]:
        print("opening", flush=True)
        await asyncio.sleep(0.3)
    elif len(sys.argv) > 3:
        control.put("tiny", sys.argv[3])
    return control


if __name__ == "__main__":
    try:
        serve(Settings(Path(sys.argv[1]), port=int(sys.argv[2])), open_control, grace_s=1)
    except SlipwayError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.exit_code)
