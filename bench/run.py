"""`scripts/bench [startup] [relay] [stack] [install]`: measures what is named, or all, and writes a Markdown table."""

import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import install, relay, stack, startup
from bench.table import Row, markdown

RESULTS = Path(__file__).parent / "results"

PARTS: dict[str, Callable[[], list[Row]]] = {
    "startup": lambda: [*startup.command_line(), *startup.server()],
    "relay": relay.relay,
    "stack": stack.stack,
    "install": install.install,
}


def main(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.stderr.write(f"no part named {', '.join(unknown)}; there are: {', '.join(PARTS)}\n")
        return 2
    rows = []
    for name in names or PARTS:
        sys.stderr.write(f"measuring {name} …\n")
        rows += PARTS[name]()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    page = markdown(rows, date)
    sys.stdout.write(page)
    if not names:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{date}.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
