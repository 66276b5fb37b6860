"""A server as a process, for chats that bring up their own: `fake_server.py PORT PIDFILE [--broken | --stubborn]`."""

import os
import signal
import sys
import threading
from pathlib import Path

from tests.cli.stub import Server, Stub, delta, model


def main() -> None:
    if "--broken" in sys.argv:
        sys.exit("the catalogue cannot be read")
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    stub = Stub(key=os.environ["SLIPWAY_API_KEYS"], events=[delta("Hello."), "data: [DONE]"])
    stub.states["pilot"] = [model(phase="starting"), model()]
    Path(sys.argv[2]).write_text(str(os.getpid()))
    server = Server(stub, int(sys.argv[1]))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGKILL if "--stubborn" in sys.argv else signal.SIGTERM)


if __name__ == "__main__":
    main()
