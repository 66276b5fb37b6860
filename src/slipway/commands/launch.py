"""`slipway launch`: reads a request from its flags, then asks the server for it and waits, or prints its plan."""

import argparse
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

from slipway.client import Client, RemoteModel
from slipway.commands.interrupts import Interrupts
from slipway.commands.parser import Parser, add_endpoint, add_model_type, client_of
from slipway.commands.progress import Display, duration
from slipway.commands.waiting import settled, start, wait_ready
from slipway.deployment import Phase
from slipway.errors import BadRequest
from slipway.parameters import PARAMETERS, LaunchRequest, request_from

_DEFAULTS = {each.name: None if each.default is MISSING else each.default for each in fields(LaunchRequest)}


def add_launch(parser: Parser) -> None:
    for parameter in PARAMETERS:
        parser.add_argument(*parameter.flags, dest=parameter.field, metavar=parameter.metavar, help=parameter.help)
    add_model_type(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what the launch would do; needs no server")
    parser.add_argument("--json", action="store_true", help="print the plan, or the launched model, as JSON")
    parser.add_argument("--no-wait", action="store_true", help="return at once, before the model is ready")
    add_endpoint(parser)
    parser.epilog = "Any other --name value is an option of the engine: --n-batch 512. A --name alone is true."
    parser.command(lambda args: run(args, parser), open_ended=True)


def run(args: argparse.Namespace, parser: Parser) -> int:
    request = read_request(args, parser)
    if args.dry_run:
        from slipway.commands.dry_run import print_plan

        return print_plan(request, as_json=args.json)
    client = client_of(args)
    began_s = time.monotonic()
    screen = Display()
    with Interrupts(screen.say) as interrupts:
        uid = start(client, body_of(request), interrupts)
        if args.no_wait:
            print(
                json.dumps({"model_uid": uid}) if args.json else f"{uid} is launching; `slipway list` tells its phase"
            )
            return 0
        model = wait_ready(client, uid, screen, interrupts, until=settled)
    print(json.dumps(model.raw, indent=2) if args.json else usage(model, client, time.monotonic() - began_s))
    return 0


def read_request(args: argparse.Namespace, parser: Parser) -> LaunchRequest:
    """The request the flags make. Raises BadRequest naming the flag at fault."""
    flags = {parameter.api: getattr(args, parameter.field) for parameter in PARAMETERS}
    given = {name: value for name, value in flags.items() if value is not None}
    if "model_path" in given:
        given["model_path"] = _absolute(given["model_path"])
    request = request_from({**engine_options(args.rest, parser), **given})
    draft = request.draft_model
    if draft is not None and draft != "ngram":
        draft = _absolute(draft)
    return replace(request, lora=tuple((name, _absolute(path)) for name, path in request.lora), draft_model=draft)


def _absolute(path: str) -> str:
    """The server has a directory of its own."""
    return str(Path(path).expanduser().absolute())


def engine_options(words: Sequence[str], parser: Parser) -> dict[str, str | bool]:
    """``--n-batch 512 --flash-attn --seed=-1`` -> n_batch "512", flash_attn True, seed "-1".

    Raises BadRequest for a word no flag takes, and for a slip in one of launch's own flags.
    """
    options: dict[str, str | bool] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--") or word == "--":
            raise parser.unknown(word)
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        _check_slip(name, flag, parser)
        options[name] = value if equals else left.pop(0) if left and _is_value(left[0]) else True
    return options


def body_of(request: LaunchRequest) -> dict[str, Any]:
    """The body of POST /v1/models for a request: only what was asked for."""
    given = {parameter.api: getattr(request, parameter.field) for parameter in PARAMETERS}
    asked = {
        parameter.api: given[parameter.api]
        for parameter in PARAMETERS
        if given[parameter.api] not in ("", _DEFAULTS[parameter.field])
    }
    return {**request.engine_options, **asked}


def usage(model: RemoteModel, client: Client, took_s: float) -> str:
    """What to do with a model that has just become ready."""
    count = f"{model.ready_replicas} of {model.replicas} replicas" if model.replicas > 1 and model.members else ""
    what = ", ".join(part for part in (model.engine, model.format, model.quantization, count) if part)
    lines = [f"{model.uid} is ready after {duration(took_s)} ({what})"]
    lines += [f"  {reason}" for reason in model.reasons]
    lines += [f"  warning: {warning}" for warning in (*_failures(model), *model.warnings)]
    talk = "chat" if _chats(model) else "generate"
    lines += [
        f"  talk:  slipway {talk} --model-uid {model.uid}",
        f"  API:   {client.endpoint}/v1, model {model.uid!r}",
        f"  {curl_line(model, client)}",
    ]
    return "\n".join(lines)


def curl_line(model: RemoteModel, client: Client) -> str:
    """A request to try, ready to be pasted into a shell."""
    key = '-H "Authorization: Bearer $SLIPWAY_API_KEY" ' if client.key else ""
    body: Mapping[str, Any]
    if _chats(model):
        path, body = "chat/completions", {"model": model.uid, "messages": [{"role": "user", "content": "Hello!"}]}
    else:
        path, body = "completions", {"model": model.uid, "prompt": "Once upon a time", "max_tokens": 32}
    return f"curl {client.endpoint}/v1/{path} {key}-H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def _failures(model: RemoteModel) -> list[str]:
    failed = [each for each in model.members if each.phase is Phase.FAILED]
    return [f"{each.name} failed: {each.cause or model.cause or 'no cause is known'}" for each in failed]


def _chats(model: RemoteModel) -> bool:
    return "chat" in model.abilities or not model.abilities


def _is_value(word: str) -> bool:
    return not word.startswith("-") or re.fullmatch(r"-\d+(\.\d+)?", word) is not None


def _check_slip(name: str, flag: str, parser: Parser) -> None:
    """Refuse what looks like a misspelt flag of launch's own, unless an engine has an option of that name."""
    close = parser.close_flags(flag)
    if not close:
        return
    from slipway.engines import ENGINES

    if not any(name in {*engine.options, *engine.own_names, *engine.refused_options} for engine in ENGINES):
        raise BadRequest(f"unknown flag {flag}: did you mean {close[0]}? see `{parser.prog} --help`")
