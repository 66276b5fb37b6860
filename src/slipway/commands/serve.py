"""`slipway serve`: runs the server, with the settings of the environment overridden by flags."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.commands.home import check_home
from slipway.commands.parser import Parser
from slipway.deployment import Plan
from slipway.parameters import LaunchRequest
from slipway.settings import Settings, load_settings
from slipway.types import Location

if TYPE_CHECKING:
    from slipway.control.controller import Controller

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_THREADS_S = 0.5  # what threads get to end in, once all is closed


def add_serve(parser: Parser) -> None:
    parser.add_argument("--host", "-H", help="address to listen on; default: $SLIPWAY_HOST, or 127.0.0.1")
    parser.add_argument("--port", "-p", type=_port, help="port to listen on; default: $SLIPWAY_PORT, or 9997")
    parser.add_argument("--home", type=Path, metavar="DIR", help="where models and logs are; default: ~/.slipway")
    parser.add_argument(
        "--log-level", type=str.lower, choices=LOG_LEVELS, default="info", metavar="LEVEL", help="default: info"
    )
    parser.add_argument("--stop-on-eof", action="store_true", help=argparse.SUPPRESS)  # for a server owned by a chat
    parser.command(run)


def run(args: argparse.Namespace) -> int:
    from slipway.server import serve  # lazy: the gateway takes 0.3 s, and `serve --help` needs none of it

    settings = settings_of(args)
    check_home(settings)
    set_up_log(args.log_level)
    if args.stop_on_eof:
        threading.Thread(target=_stop_on_eof, daemon=True).start()
    serve(settings, lambda: _open_controller(settings))
    _leave_stuck_threads()
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """The environment's settings with the flags that were given put over them."""
    given = {"host": args.host, "port": args.port, "home": args.home and args.home.expanduser().absolute()}
    return replace(load_settings(), **{name: value for name, value in given.items() if value is not None})


def set_up_log(level: str) -> None:
    """Slipway's own log on stderr from ``level`` on; of the libraries below it only what goes wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("slipway").setLevel(level.upper())
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # it sets its own logger up, when it is imported


async def _open_controller(settings: Settings) -> "Controller":
    """The controller of a server on this host: plans against this machine, replicas as child processes."""
    from slipway.control.controller import Controller
    from slipway.control.look import look
    from slipway.control.planner import check, load_context, plan
    from slipway.control.reconcile import Load
    from slipway.hubs.download import fetch
    from slipway.runtime.environment_build import build
    from slipway.runtime.environments import Environments
    from slipway.runtime.local_fleet import LocalFleet

    def plan_here(request: LaunchRequest, load: Load) -> Plan:
        context = load_context(settings, load)
        planned = plan(request, context)
        check(planned, request, context.machine)
        return planned

    def fetch_here(location: Location, progress: Callable[[int, int | None], None], cancel: threading.Event) -> Path:
        return fetch(location, settings.models, progress, settings.offline, cancel)

    fleet = LocalFleet(settings.logs, fetch_here, Environments(settings.environments, build).hold)
    controller = Controller(plan_here, fleet, look=lambda asked: look(asked, settings))
    controller.start()
    return controller


def _leave_stuck_threads() -> None:
    """End the process here if threads still wait, for a hub say: the interpreter's own end would wait for them."""
    deadline_s = time.monotonic() + _THREADS_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(deadline_s - time.monotonic(), 0))
            if thread.is_alive():
                logging.shutdown()
                sys.stdout.flush()
                os._exit(0)


def _stop_on_eof() -> None:
    """Whatever becomes of the process that holds our stdin, its end is ours."""
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would abort the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)
