"""Engine options: how values are read, from text or typed, and how a mapping is checked against an engine's schema."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slipway.engines.base import Engine, EngineOption
from slipway.errors import UnknownOption, nearest

Reader = Callable[[Any], Any]

# Nothing that runs code from a repository, opens the engine to others or makes it serve files is passed on.
COMMON_REFUSED: Mapping[str, str] = {
    "allow_credentials": "engines answer the gateway only",
    "allowed_headers": "engines answer the gateway only",
    "allowed_local_media_path": "an engine serves no files of this machine",
    "allowed_methods": "engines answer the gateway only",
    "allowed_origins": "engines answer the gateway only",
    "api_key": "every launch has a secret of its own; keys for clients are SLIPWAY_API_KEYS",
    "api_keys": "every launch has a secret of its own; keys for clients are SLIPWAY_API_KEYS",
    "context_length": "use --context-length",
    "host": "engines listen on loopback; the gateway's address is `slipway serve --host`",
    "model": "use --model-name or --model-path",
    "model_path": "use --model-path",
    "port": "engines take a free port; the gateway's is `slipway serve --port`",
    "served_model_name": "use --model-uid",
    "ssl_certfile": "engines answer on loopback, without TLS",
    "ssl_keyfile": "engines answer on loopback, without TLS",
    "trust_remote_code": "code from a repository is never executed",
}


def read_options(engine: Engine, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check options given by name (with "-" or "_") and read their values; None means not given.

    Raises UnknownOption: with the nearest names, with the reason an option is refused, or with what a value should be.
    """
    read: dict[str, Any] = {}
    for given, value in values.items():
        if value is None:
            continue
        name = given.lstrip("-").replace("-", "_")
        if name in read:
            raise UnknownOption(f"the option --{_flag(name)} is given twice", param=name)
        read[name] = _read(_option(engine, name), value, engine)
    return read


def table(*options: EngineOption) -> dict[str, EngineOption]:
    """Options by name."""
    return {option.name: option for option in options}


def flag_pairs(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Read options as command-line flags of an engine: ``--name value …``, a bare ``--name`` or ``--no-name``."""
    flags: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            flags.append(f"--{_flag(name)}" if value else f"--no-{_flag(name)}")
        elif isinstance(value, tuple):
            flags += [f"--{_flag(name)}", *map(str, value)]
        else:
            flags += [f"--{_flag(name)}", str(value)]
    return tuple(flags)


def whole(least: int = 0, most: int = 2**31 - 1) -> Reader:
    """A whole number, as a number or as text."""

    def read(value: Any) -> int:
        try:
            number = int(str(value).strip())
        except ValueError:
            number = None
        if isinstance(value, bool) or number is None or not least <= number <= most:
            raise ValueError(f"a whole number of at least {least}" if most == 2**31 - 1 else f"{least} to {most}")
        return number

    return read


def real(least: float, most: float) -> Reader:
    """A number within bounds."""

    def read(value: Any) -> float:
        try:
            number = float(str(value).strip())
        except ValueError:
            number = None
        if isinstance(value, bool) or number is None or not least <= number <= most:
            raise ValueError(f"a number from {least:g} to {most:g}")
        return number

    return read


def switch(value: Any) -> bool:
    """true or false, in the usual spellings; an option given without a value arrives as True."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise ValueError("true or false")


def only_true(value: Any) -> bool:
    """For flags without a ``--no-`` form, off unless given: false can only be said by leaving them out."""
    if not switch(value):
        raise ValueError("true; leave it out for false")
    return True


def choice(*known: str, aliases: Mapping[str, str] | None = None) -> Reader:
    """One of a few words, without regard to case."""

    def read(value: Any) -> str:
        text = str(value).strip().lower()
        text = (aliases or {}).get(text, text)
        by_lower = {each.lower(): each for each in known}
        if text not in by_lower:
            raise ValueError(f"one of {', '.join(known)}")
        return by_lower[text]

    return read


def words(value: Any) -> str:
    """Any text that is not empty, is not itself a flag, and can be an argument of a process."""
    if not isinstance(value, str) or not value.strip() or value.startswith("-") or not value.isprintable():
        raise ValueError("a text")
    return value.strip()


def json_object(*refused: str) -> Reader:
    """A JSON object as text, which an engine reads; ``refused`` names keys it must not have, at any depth."""

    def read(value: Any) -> str:
        try:
            parsed = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise ValueError("a JSON object")
        for key in _keys(parsed):
            if key in refused:
                raise ValueError(f"an object without {key}, which names code or opens the engine")
        return json.dumps(parsed)

    return read


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key).replace("-", "_").rpartition(".")[2]
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _option(engine: Engine, name: str) -> EngineOption:
    if name in engine.options:
        return engine.options[name]
    if name in engine.refused_options:
        raise UnknownOption(f"--{_flag(name)} is not for {engine.name}: {engine.refused_options[name]}", param=name)
    close = nearest(name, engine.options)
    advice = f"nearest: {', '.join('--' + _flag(each) for each in close)}" if close else f"there are: {_all(engine)}"
    raise UnknownOption(f"{engine.name} has no option --{_flag(name)}; {advice}", param=name)


def _read(option: EngineOption, value: Any, engine: Engine) -> Any:
    try:
        return option.read(value)
    except ValueError as error:
        raise UnknownOption(
            f"--{_flag(option.name)} of {engine.name} is {value!r}: expected {error}", param=option.name
        ) from None


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _all(engine: Engine) -> str:
    return ", ".join(f"--{_flag(name)}" for name in engine.options)
