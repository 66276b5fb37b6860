"""`slipway chat` and `slipway generate`: finds or launches the model, then asks it once or in a loop."""

import argparse
import sys
from collections.abc import Callable

from slipway.client import Client, RemoteModel
from slipway.commands.conversation import HELP, Conversation, Speaker, continue_texts, converse, tell
from slipway.commands.interrupts import Interrupts
from slipway.commands.own_server import server_for
from slipway.commands.parser import Parser, add_endpoint, boolean, positive
from slipway.commands.progress import Display
from slipway.commands.waiting import failure_of, start, wait_ready
from slipway.deployment import Phase
from slipway.errors import BadRequest

DEFAULT_MODEL = "pilot"
_SAMPLING = ("temperature", "max_tokens", "top_p", "seed")


def add_chat(parser: Parser) -> None:
    _add_asking(parser)
    parser.add_argument("--system", metavar="TEXT", help="a system prompt")
    parser.command(run_chat)


def add_generate(parser: Parser) -> None:
    _add_asking(parser)
    parser.command(run_generate)


def run_chat(args: argparse.Namespace) -> int:
    prompt = _prompt(args)
    with server_for(args) as client:
        speaker = _speaker(args, client)
        talk = Conversation(args.system)
        if prompt is not None:
            tell(speaker.chat(talk.messages(prompt)), sys.stdout)
        else:
            print(f"talking with {speaker.uid}; {HELP}", file=sys.stderr)
            converse(speaker, talk, _line_reader(), sys.stdout)
    return 0


def run_generate(args: argparse.Namespace) -> int:
    prompt = _prompt(args)
    with server_for(args) as client:
        speaker = _speaker(args, client)
        if prompt is not None:
            tell(speaker.generate(prompt), sys.stdout)
        else:
            print(f"{speaker.uid} continues what you write; /exit ends, Ctrl-C stops a text", file=sys.stderr)
            continue_texts(speaker, _line_reader(), sys.stdout)
    return 0


def ready_model(client: Client, uid: str | None, name: str | None) -> RemoteModel:
    """The deployment to talk with, once it is ready; launched if it is asked for by name and there is none."""
    model = client.model(uid) if uid else _deployed(client, name or DEFAULT_MODEL)
    if model is not None and model.phase is Phase.READY:
        return model
    if model is not None and model.phase is Phase.FAILED:
        raise failure_of(model)
    screen = Display()
    with Interrupts(screen.say) as interrupts:
        if model is not None:
            return wait_ready(client, model.uid, screen, interrupts, owned=False)
        launched = start(client, {"model_name": name or DEFAULT_MODEL}, interrupts)
        print(f"launching {launched}; it stays as long as the server does", file=sys.stderr)
        return wait_ready(client, launched, screen, interrupts)


def _deployed(client: Client, name: str) -> RemoteModel | None:
    """The deployment of a family, the ready one first; one whose uid is the name counts too, a failed one does not."""
    alike = [model for model in client.models() if name.lower() in (model.uid.lower(), model.name.lower())]
    found = [model for model in alike if model.phase in {Phase.READY, Phase.STARTING, Phase.FETCHING, Phase.PENDING}]
    return min(found, key=lambda model: model.phase is not Phase.READY, default=None)


def _speaker(args: argparse.Namespace, client: Client) -> Speaker:
    model = ready_model(client, args.model_uid, args.model_name)
    options = {name: getattr(args, name) for name in _SAMPLING if getattr(args, name) is not None}
    return Speaker(client, model.uid, options, args.stream)


def _prompt(args: argparse.Namespace) -> str | None:
    """What to ask, once; None to talk on the terminal. Raises BadRequest where there is nothing to ask."""
    if args.prompt is None and sys.stdin.isatty():
        return None
    text: str = sys.stdin.read() if args.prompt is None else args.prompt
    if not text.strip():
        raise BadRequest("the prompt is empty: give --prompt TEXT, or write one to the standard input")
    return text.rstrip("\n")


def _line_reader() -> Callable[[], str]:
    import readline  # noqa: F401 - editing and history in input()

    return lambda: input("> ")


def _add_asking(parser: Parser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model-uid", "-u", metavar="UID", help="a model on the server")
    which.add_argument(
        "--model-name", "-n", metavar="NAME", help=f"a family, launched if it is not yet; default: {DEFAULT_MODEL}"
    )
    parser.add_argument("--prompt", metavar="TEXT", help="ask this and end; without a terminal it is read from stdin")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="tokens an answer may have")
    parser.add_argument("--temperature", type=float, metavar="T", help="0 for the likeliest answer")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from the likeliest tokens of this total")
    parser.add_argument("--seed", type=int, metavar="N", help="make draws repeatable")
    parser.add_argument(
        "--stream",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="print as it comes (default)",
    )
    parser.add_argument("--no-stream", dest="stream", action="store_false", help="print the whole answer at its end")
    add_endpoint(parser)
