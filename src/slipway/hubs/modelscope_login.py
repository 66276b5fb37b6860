"""ModelScope's token from its usual places: MODELSCOPE_API_TOKEN, else what `modelscope login` left.

Its login is a pickled cookie jar. It is never unpickled: its strings are read, and nothing in it runs.
"""

import os
import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path

_LARGEST = 1 << 20
_COOKIE = "m_session_id"


def modelscope_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The token, None where there is none."""
    given = environ.get("MODELSCOPE_API_TOKEN", "").strip()
    if given:
        return given
    home = Path(environ.get("MODELSCOPE_CREDENTIALS_PATH") or "~/.modelscope/credentials").expanduser()
    try:
        with (home / "cookies").open("rb") as file:
            return token_in(file.read(_LARGEST))
    except OSError:
        return None


def token_in(jar: bytes) -> str | None:
    """The session's value in a pickled cookie jar: the text after ``value`` in the cookie named ``m_session_id``."""
    try:
        texts = list(_texts(jar))
    except (ValueError, IndexError, KeyError, UnicodeDecodeError):
        return None
    for at in range(len(texts) - 3):
        if texts[at : at + 3] == ["name", _COOKIE, "value"]:
            value = texts[at + 3]
            return value if value.isascii() and value.isprintable() and not set(value) & set("; ,") else None
    return None


def _texts(jar: bytes) -> Iterator[str]:
    """The texts a pickle would push, in order, those it remembered included."""
    memo: dict[int, object] = {}
    last: object = None
    for code, argument, _ in pickletools.genops(jar):
        if code.name == "MEMOIZE":
            memo[len(memo)] = last
        elif code.name in {"BINPUT", "LONG_BINPUT", "PUT"}:
            memo[int(str(argument))] = last
        else:
            last = memo.get(int(str(argument))) if code.name in {"BINGET", "LONG_BINGET", "GET"} else argument
            if isinstance(last, str) and ("UNICODE" in code.name or "GET" in code.name):
                yield last
