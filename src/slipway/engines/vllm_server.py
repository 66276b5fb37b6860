"""vLLM's own server, which ends with the process that launched it. Run through `isolated.py` in vLLM's environment."""

import runpy

from slipway.engines.launcher import end_with_launcher


def main() -> None:
    end_with_launcher()
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
