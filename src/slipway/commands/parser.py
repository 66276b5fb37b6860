"""What every command's parser has: suggestions for mistyped flags, the server's address, no secret in argv."""

import argparse
import os
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from slipway.errors import BadRequest
from slipway.settings import default_endpoint

if TYPE_CHECKING:
    from slipway.client import Client

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """A command's flags. ``--model_name`` is read as ``--model-name``; a wrong flag raises BadRequest."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise BadRequest(f"{message}; see `{self.prog} --help`")

    def command(self, run: Run, *, open_ended: bool = False) -> None:
        """Set what runs. ``open_ended``: arguments not known are left in ``rest`` for the command to judge."""
        self.set_defaults(run=run, open_ended=open_ended)

    def run(self, argv: Sequence[str]) -> int:
        args = self.read(argv)
        run: Run = args.run
        return run(args)

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        args, rest = self.parse_known_args([self._spelled(word) for word in argv])
        if rest and not args.open_ended:
            raise self.unknown(rest[0])
        args.rest = rest
        return args

    def unknown(self, word: str) -> BadRequest:
        """The error for an argument no flag takes, with the flag that was probably meant."""
        kind = "flag" if word.startswith("-") else "argument"
        close = self.close_flags(word) if kind == "flag" else []
        hint = f": did you mean {close[0]}?" if close else ";"
        return BadRequest(f"unknown {kind} {word.partition('=')[0]}{hint} see `{self.prog} --help`")

    def close_flags(self, word: str) -> list[str]:
        """The long flag most like ``word``, if one is near enough to be a slip of the finger."""
        asked = word.partition("=")[0].replace("_", "-").lstrip("-").lower()
        known = [flag.removeprefix("--") for flag in self._option_string_actions if flag.startswith("--")]
        return [f"--{flag}" for flag in get_close_matches(asked, known, n=1, cutoff=0.75)]

    def _spelled(self, word: str) -> str:
        if not word.startswith("--"):
            return word
        flag, equals, value = word.partition("=")
        dashed = flag.replace("_", "-")
        return dashed + equals + value if dashed in self._option_string_actions else word


class _RefusedKey(argparse.Action):
    """`--api-key KEY`: what is on a command line can be read by everyone on the machine."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        parser.error(
            "a key is not taken from the command line, where other users can read it: "
            "put it in SLIPWAY_API_KEY, or in a file for --api-key-file"
        )


def add_endpoint(parser: Parser) -> None:
    """The flags of a command that talks to a server; read them with `client_of`."""
    parser.add_argument("--endpoint", "-e", metavar="URL", help=f"the server; default: {default_endpoint()}")
    parser.add_argument("--api-key-file", metavar="FILE", help="file with the key; default: $SLIPWAY_API_KEY")
    parser.add_argument("--api-key", "-ak", action=_RefusedKey, help=argparse.SUPPRESS)


def client_of(args: argparse.Namespace) -> "Client":
    from slipway.client import Client  # lazy: http.client and ssl take 40 ms

    return Client(args.endpoint or default_endpoint(), read_key(args.api_key_file))


def read_key(file: str | None) -> str | None:
    """The key from a file if one is named, else from SLIPWAY_API_KEY. Raises BadRequest."""
    if file is None:
        return os.environ.get("SLIPWAY_API_KEY") or None
    try:
        key = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise BadRequest(f"--api-key-file {file}: cannot be read ({reason})") from None
    if not key:
        raise BadRequest(f"--api-key-file {file}: the file is empty")
    return key


def add_local(parser: Parser) -> None:
    """Xinference's server flags on a command that works on this machine's files: they may name this machine only."""
    parser.add_argument("--endpoint", "-e", type=_this_machine, help=argparse.SUPPRESS)
    parser.add_argument("--api-key", "-ak", action=_RefusedKey, help=argparse.SUPPRESS)


def add_model_type(parser: Parser) -> None:
    parser.add_argument("--model-type", "-t", type=_language_model, default="LLM", help=argparse.SUPPRESS)


def positive(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def boolean(text: str) -> bool:
    """An argparse type: true or false, in the usual words."""
    word = text.lower()
    if word not in {"true", "false", "1", "0", "yes", "no"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return word in {"true", "1", "yes"}


def _this_machine(text: str) -> str:
    from slipway.client import Client

    host = Client(text).host
    if host not in {"localhost", "127.0.0.1", "::1", "0.0.0.0"}:  # noqa: S104 - compared, not bound
        raise argparse.ArgumentTypeError(f"this command works on the machine it is run on: run it on {host}")
    return text


def _language_model(text: str) -> str:
    if text.upper() != "LLM":
        raise argparse.ArgumentTypeError(f"{text!r}: only LLM models are served")
    return "LLM"
