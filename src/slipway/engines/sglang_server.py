"""SGLang's own server, with its key from the environment. Run through `isolated.py` in SGLang's environment.

SGLang takes its key from a flag only, and every user of a machine can read argv: the flag is added inside the process.
"""

import logging
import os
import sys

from slipway.engines.launcher import end_with_launcher

SECRET_VARIABLE = "SLIPWAY_ENGINE_SECRET"  # noqa: S105 - the variable's name


def main() -> None:
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args
    from sglang.srt.utils import kill_process_tree

    end_with_launcher()
    secret = os.environ.pop(SECRET_VARIABLE)
    keep_out_of_logs(secret)
    server_args = prepare_server_args([*sys.argv[1:], "--api-key", secret])
    try:
        run_server(server_args)
    finally:
        kill_process_tree(os.getpid(), include_parent=False)


def keep_out_of_logs(secret: str) -> None:
    """SGLang logs all of its arguments at the start, its key among them: from now on stars are logged instead."""

    class Redacted(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802 - the library's name
            return super().getMessage().replace(secret, "***")

    logging.setLogRecordFactory(Redacted)


if __name__ == "__main__":
    main()
