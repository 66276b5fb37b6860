"""Load from wrk, which takes little of the cores it shares with what it measures."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PATH = "/v1/chat/completions"
_LIMIT_S = 60.0

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.body = [[{body}]]
function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format('RESULT {{"requests": %d, "micros": %d, "median_micros": %d, "errors": %d}}', summary.requests,
        summary.duration, latency:percentile(50),
        errors.connect + errors.status + errors.timeout{broken}))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk measured."""

    per_second: float
    median_ms: float


def load(url: str, body: object, clients: int, seconds: int, key: str = "none", may_close: bool = False) -> Load:
    """Post ``body`` to the chat completions of ``url`` for so long. Raises RuntimeError if a request fails.

    ``may_close``: the server closes a connection after some requests (llama.cpp after 100), which wrk counts as a
    read error of a request that it then sends again.
    """
    broken = "" if may_close else " + errors.read + errors.write"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_SCRIPT.format(body=json.dumps(body), key=key, broken=broken))
        script.chmod(0o600)
        argv = [program("wrk"), "-t1", f"-c{clients}", f"-d{seconds}", "-s", str(script), url + PATH]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=_LIMIT_S)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} requests failed: {' '.join(argv)}")
    return Load(result["requests"] / result["micros"] * 1e6, result["median_micros"] / 1000)


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit(f"{name} is not installed: on Debian, `apt-get install nginx wrk`")
    return found
