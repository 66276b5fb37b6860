"""The tie between an engine process and the process that launched it. With the standard library only."""

import os
import signal
import threading


def end_with_launcher() -> None:
    """End this process and all it has started once standard input closes: nothing outlives a launcher that was killed.

    An engine is started in a session of its own, so what it starts is in its process group.
    """
    threading.Thread(target=_wait_for_the_end, name="launcher", daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
