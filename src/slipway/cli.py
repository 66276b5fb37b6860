"""The command line's entry: finds the command, imports it alone, turns every error into a sentence and an exit code.

Nothing heavy is imported here: `slipway --help` is written by hand so that it needs neither argparse nor a command.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from slipway.errors import SlipwayError


class Command(NamedTuple):
    """One command: the module in `slipway.commands` with its ``add_<command>``, and a line of help."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "chat": Command("chat", "talk with a model; brings up a server for the talk if none runs"),
    "generate": Command("chat", "continue a text with a model"),
    "serve": Command("serve", "run the server"),
    "launch": Command("launch", "launch a model on the server, or show what a launch would do (--dry-run)"),
    "list": Command("models", "the models on the server, and the phase of each"),
    "terminate": Command("models", "end a model"),
    "logs": Command("models", "the log of a model's engine"),
    "engine": Command("engine", "which engines can run a model, and why not; install, list, remove, doctor"),
    "registrations": Command("catalogue", "the families of the catalogue, built in and registered"),
    "register": Command("catalogue", "add a family of your own to the catalogue"),
    "unregister": Command("catalogue", "remove a family you registered"),
    "docs": Command("catalogue", "write the catalogue's pages"),
    "cached": Command("cache", "the model files kept on this machine"),
    "remove-cache": Command("cache", "delete model files kept on this machine"),
}

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None, program: str = "slipway") -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 asked wrongly, 130 interrupted."""
    from slipway.errors import SlipwayError

    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), program)
        sys.stdout.flush()
    except SlipwayError as error:
        return _tell(error, program)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return BROKEN_PIPE
    except Exception as error:  # the boundary: a user gets a line, the log gets the traceback
        return _unexpected(error, program)
    return code


def xinference() -> int:
    """The `xinference` script: the same commands under the name the model pages use."""
    return main(program="xinference")


def xinference_local() -> int:
    """The `xinference-local` script: `slipway serve`."""
    return main(["serve", *sys.argv[1:]], program="xinference")


def _run(argv: list[str], program: str) -> int:
    if not argv or argv[0] in {"-h", "--help"} or argv == ["help"]:
        print(overview(program))
        return 0
    if argv[0] in {"-V", "-v", "--version"}:
        from slipway import __version__

        print(f"slipway {__version__}")
        return 0
    name, *rest = [argv[1], "--help"] if argv[0] == "help" else argv
    return _run_command(_known(name, program), rest, program)


def _run_command(name: str, argv: list[str], program: str) -> int:
    from importlib import import_module

    from slipway.commands.parser import Parser

    command = COMMANDS[name]
    parser = Parser(f"{program} {name}", command.help)
    module = import_module(f"slipway.commands.{command.module}")
    getattr(module, f"add_{name.replace('-', '_')}")(parser)
    return parser.run(argv)


def _known(name: str, program: str) -> str:
    if name in COMMANDS:
        return name
    from slipway.errors import BadRequest, UnknownName

    if name.startswith("-"):
        raise BadRequest(f"{name!r} stands where a command should; see `{program} --help`")
    raise UnknownName("command", name, COMMANDS, advice=f"see `{program} --help`")


def overview(program: str) -> str:
    """What `slipway --help` prints."""
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items())
    return "\n".join(
        (
            f"usage: {program} COMMAND [flags]",
            "",
            "Launches open models on the engine that can run them, behind one OpenAI-compatible address.",
            "",
            *lines,
            "",
            f"  {program} COMMAND --help tells a command's flags; {program} --version the version.",
            f"  First steps: `{program} chat`, or `{program} serve` and `{program} launch --model-name pilot`.",
        )
    )


def _tell(error: "SlipwayError", program: str) -> int:
    if _debugging():
        import traceback

        traceback.print_exc()
    print(f"{program}: {error.message}", file=sys.stderr)
    return error.exit_code


def _unexpected(error: Exception, program: str) -> int:
    import traceback

    if _debugging():
        traceback.print_exc()
    try:
        place = f"the details are in {_write_log(''.join(traceback.format_exception(error)))}"
    except OSError as failure:
        place = f"the details could not be written ({failure.strerror}): run it again with SLIPWAY_DEBUG=1"
    said = " ".join(str(error).split())
    print(f"{program}: unexpected {type(error).__name__}: {said}; {place}", file=sys.stderr)
    return 1


def _write_log(text: str) -> str:
    import time

    from slipway.settings import load_settings

    path = load_settings().logs / "cli.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} slipway {_command_in(sys.argv)}\n{text}\n")
    return str(path)


def _command_in(argv: list[str]) -> str:
    """The command alone: flags and their values may be private."""
    return next((word for word in argv[1:] if word in COMMANDS), "")


def _debugging() -> bool:
    return os.environ.get("SLIPWAY_DEBUG", "") not in {"", "0"}
