"""`slipway list`, `terminate` and `logs`: the models on a server."""

import argparse
import json
import sys
import threading
import time

from slipway.client import Client, RemoteModel
from slipway.commands.parser import Parser, add_endpoint, client_of, positive
from slipway.commands.progress import duration
from slipway.commands.table import table
from slipway.deployment import Phase
from slipway.errors import BadRequest

_QUIET_S = 1.0  # an end that takes longer is announced
_HEADERS = ("UID", "MODEL", "ENGINE", "FORMAT", "SIZE", "QUANTIZATION", "PHASE", "SINCE", "REPLICAS")


def add_list(parser: Parser) -> None:
    add_endpoint(parser)
    parser.add_argument("--json", action="store_true", help="print the server's objects as JSON")
    parser.command(run_list)


def add_terminate(parser: Parser) -> None:
    _add_uid(parser)
    add_endpoint(parser)
    parser.command(run_terminate)


def add_logs(parser: Parser) -> None:
    _add_uid(parser)
    parser.add_argument("--lines", type=positive, default=200, metavar="N", help="lines from the end; default: 200")
    parser.add_argument("--follow", "-f", action="store_true", help="go on as the log grows, until Ctrl-C")
    add_endpoint(parser)
    parser.command(run_logs)


def run_list(args: argparse.Namespace) -> int:
    models = client_of(args).models()
    if args.json:
        print(json.dumps([dict(model.raw) for model in models], indent=2))
    else:
        print(models_text(models, time.time()))
    return 0


def run_terminate(args: argparse.Namespace) -> int:
    uid = _uid(args)
    client = client_of(args)
    model = client.model(uid)
    _terminate(client, uid)
    print(f"{uid} is terminated" + (f": it was {model.phase}" if model.phase is not Phase.READY else ""))
    return 0


def run_logs(args: argparse.Namespace) -> int:
    for piece in client_of(args).log(_uid(args), args.lines, follow=args.follow):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return 0


def models_text(models: tuple[RemoteModel, ...], now: float) -> str:
    """The table of `slipway list`, and the cause of each failure below it. ``now``: epoch seconds."""
    if not models:
        return "no model is launched: `slipway launch --model-name pilot` launches the one that comes with Slipway"
    causes = [
        f"{model.uid} failed: {model.cause or 'no cause is known'}" for model in models if model.phase is Phase.FAILED
    ]
    return "\n".join((table(_HEADERS, (_row(model, now) for model in models)), *causes))


def _terminate(client: Client, uid: str) -> None:
    notice = threading.Timer(_QUIET_S, lambda: print(f"ending {uid} …", file=sys.stderr, flush=True))
    notice.daemon = True
    notice.start()
    try:
        client.terminate(uid)
    finally:
        notice.cancel()


def _row(model: RemoteModel, now: float) -> tuple[str, ...]:
    since = duration(max(now - model.since, 0)) if model.since else "-"
    ready = model.replicas if model.phase is Phase.READY and not model.ready_replicas else model.ready_replicas
    cells = (
        model.uid,
        model.name,
        model.engine,
        model.format,
        model.size.replace("_", "."),
        model.quantization,
        str(model.phase),
        since,
    )
    return (*(cell or "-" for cell in cells), f"{ready}/{model.replicas}")


def _add_uid(parser: Parser) -> None:
    parser.add_argument("uid", nargs="?", metavar="UID", help="the name the model is served under")
    parser.add_argument("--model-uid", "-u", dest="uid_flag", metavar="UID", help="the same, as a flag")


def _uid(args: argparse.Namespace) -> str:
    given = {uid for uid in (args.uid, args.uid_flag) if uid}
    if len(given) > 1:
        raise BadRequest(f"two models are named, {args.uid!r} and {args.uid_flag!r}: name one")
    if not given:
        raise BadRequest("no model is named: give its UID, as `slipway list` shows it")
    return str(given.pop())
