"""The Transformers engine process: loads a checkpoint and serves it on loopback behind the launch's secret.

Started by the runtime as ``python -m slipway.engines.transformers_server``, in the engine's environment. It ends when
its standard input closes, so that it never outlives the process that started it.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from aiohttp import web

from slipway.engines.transformers_server.app import make_app
from slipway.engines.transformers_server.arguments import Arguments, read_arguments
from slipway.engines.transformers_server.defaults import read_defaults
from slipway.engines.transformers_server.grammars import compile_with_llguidance
from slipway.engines.transformers_server.service import Service
from slipway.engines.transformers_server.templates import read_template
from slipway.engines.transformers_server.tokenizer import read_tokenizer

SECRET_VARIABLE = "SLIPWAY_ENGINE_SECRET"  # noqa: S105 - the variable's name

log = logging.getLogger("slipway")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Load the model, serve until stopped. Exit code 1 when the model cannot be served."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, in the middle of loading too
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the launcher's to handle
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    arguments = read_arguments(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    secret = os.environ.pop(SECRET_VARIABLE, "")
    if not secret:
        _end(f"{SECRET_VARIABLE} is not set: the launcher gives every engine a secret")
    try:
        listening = _bound(arguments)
        service = _service(arguments)
    except SystemExit as told:  # by the loading, in words of its own
        _end(str(told.code).removeprefix("slipway: "))
    except Exception as error:
        log.exception("loading failed")
        _end(f"Transformers could not serve {arguments.model}: {error}")
    gc.collect()
    gc.freeze()  # the model and the libraries stay: no collection looks through them again
    asyncio.run(_serve(service, secret, listening))
    _end("the server ended by itself")


def _service(arguments: Arguments) -> Service:
    """Small files first, so that what is wrong with them is told before the weights are read."""
    tokenizer = read_tokenizer(arguments.model)
    template = read_template(arguments.model, arguments.chat_template, tokenizer.names)
    defaults = read_defaults(arguments.model, arguments.max_new_tokens, arguments.seed)
    from slipway.engines.transformers_server.generator import open_generator  # imports torch: seconds

    return Service(
        alias=arguments.alias,
        tokenizer=tokenizer,
        template=template,
        generator=open_generator(arguments),
        compile=compile_with_llguidance,
        defaults=defaults,
        tool_parser=arguments.tool_call_parser,
    )


def _bound(arguments: Arguments) -> socket.socket:
    """Taken before loading, so that no one else takes the port meanwhile; connections are refused until ``listen``."""
    listening = socket.socket(socket.AF_INET6 if ":" in arguments.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((arguments.host, arguments.port))
    return listening


async def _serve(service: Service, secret: str, listening: socket.socket) -> None:
    app = make_app(service, secret, asyncio.get_running_loop())
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=1024).start()
    host, port = listening.getsockname()[:2]
    print(f"slipway: Transformers answers at http://{host}:{port}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


def _end(words: str) -> NoReturn:
    print(f"slipway: {words}", file=sys.stderr, flush=True)
    os._exit(1)  # no thread of a library holds the process up


def _end_with_launcher() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
