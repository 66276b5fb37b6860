"""A family file as parsed data that remembers where it came from: every fault names the file, the line and the key."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.catalogue.lines import KeyLines, KeyPath, json_lines, toml_lines
from slipway.errors import InvalidFamily, nearest

_LARGEST_BYTES = 1 << 20
_LARGEST_COUNT = 1 << 50  # no context, layer or parameter count comes near it


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. ``origin`` is its name in messages."""

    origin: str
    text: str
    is_toml: bool
    values: Mapping[str, object]

    def root(self, names: Mapping[str, str] | None = None) -> "Table":
        return Table(self, (), self.values, names or {})

    def fault(self, path: KeyPath, problem: str) -> InvalidFamily:
        """The error to raise about ``path``; its line is that of the nearest table when the key is not written."""
        line, key = self.lines().nearest(path), in_words(path)
        where = f"{self.origin}, line {line}"
        return InvalidFamily(f"{where}, key {key}: {problem}" if key else f"{where}: {problem}", param=key or None)

    def lines(self) -> KeyLines:
        return toml_lines(self.text) if self.is_toml else json_lines(self.text)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a document, read strictly.

    ``names`` translates the names asked for to the file's own keys. What the table leaves out is read from ``outer``.
    """

    document: Document
    path: KeyPath
    values: Mapping[str, object]
    names: Mapping[str, str] = field(default_factory=dict)
    outer: "Table | None" = None

    def __contains__(self, name: str) -> bool:
        return self._value(name) is not None

    def fault(self, name: str, problem: str) -> InvalidFamily:
        return self.document.fault(self._path(name), problem)

    def check_keys(self, known: Iterable[str]) -> None:
        """Refuse every key that is not one of ``known``, with the nearest of them."""
        allowed = tuple(known)
        for key in self.values:
            if key not in allowed:
                close = nearest(key, allowed, 1)
                advice = f"did you mean {close[0]}?" if close else "known keys: " + ", ".join(allowed)
                raise self.document.fault((*self.path, key), f"unknown key; {advice}")

    def text(self, name: str) -> str:
        value = self._required(name)
        if not isinstance(value, str) or not value.strip():
            raise self._mistyped(name, "a non-empty text")
        return value.strip()

    def optional_count(self, name: str) -> int:
        """0 where it is not given."""
        return self.count(name, 0) if name in self else 0

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self else None

    def count(self, name: str, least: int = 1) -> int:
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST_COUNT:
            raise self._mistyped(name, f"a whole number of at least {least}")
        return value

    def flag(self, name: str) -> bool:
        """False where it is not given."""
        value = self._required(name) if name in self else False
        if not isinstance(value, bool):
            raise self._mistyped(name, "true or false")
        return value

    def value(self, name: str) -> object:
        """What stands there, unread: for keys that may be written in more than one way."""
        return self._required(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of different texts, at least one; case does not make two texts different."""
        value = self._list(name, "texts")
        seen: set[str] = set()
        for position, each in enumerate(value):
            here = (*self._path(name), position)
            if not isinstance(each, str) or not each.strip():
                raise self.document.fault(here, f"is {each!r}: expected a non-empty text")
            if each.casefold() in seen:
                raise self.document.fault(here, f"{each!r} is there twice; take one out")
            seen.add(each.casefold())
        return tuple(str(each) for each in value)

    def table(self, name: str, names: Mapping[str, str] | None = None, *, within: "Table | None" = None) -> "Table":
        value = self._required(name)
        if not isinstance(value, dict):
            raise self._mistyped(name, "a table")
        return Table(self.document, self._path(name), value, names or {}, within)

    def tables(self, name: str, names: Mapping[str, str] | None = None) -> tuple["Table", ...]:
        """A list of tables, at least one."""
        path = self._path(name)
        found = []
        for position, each in enumerate(self._list(name, "tables")):
            if not isinstance(each, dict):
                raise self.document.fault((*path, position), f"is {each!r}: expected a table")
            found.append(Table(self.document, (*path, position), each, names or {}))
        return tuple(found)

    def _list(self, name: str, of: str) -> list[object]:
        value = self._required(name)
        if not isinstance(value, list):
            raise self._mistyped(name, f"a list of {of}")
        if not value:
            raise self.fault(name, "is empty: give at least one")
        return value

    def _mistyped(self, name: str, expected: str) -> InvalidFamily:
        shown = repr(self._value(name))
        return self.fault(name, f"is {shown if len(shown) < 80 else shown[:77] + '...'}: expected {expected}")

    def _required(self, name: str) -> object:
        value = self._value(name)
        if value is None:
            raise self.fault(name, "is missing")
        return value

    def _value(self, name: str) -> object:
        own = self.values.get(self.names.get(name, name))  # JSON's null is the same as not given
        return self.outer._value(name) if own is None and self.outer is not None else own

    def _path(self, name: str) -> KeyPath:
        key = self.names.get(name, name)
        if key not in self.values and self.outer is not None and name in self.outer:
            return self.outer._path(name)
        return (*self.path, key)


def read_document(path: Path) -> Document:
    """Read a ``.toml`` or ``.json`` file. Raises InvalidFamily, with the line of a syntax error."""
    if path.suffix not in {".toml", ".json"}:
        raise InvalidFamily(f"{path.name}: a family file is named *.toml or *.json")
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InvalidFamily(f"{path.name}: larger than 1 MiB, which no family file is")
        text = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise InvalidFamily(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidFamily(f"{path.name}: not UTF-8 text") from None
    return parse_document(text, path.name, is_toml=path.suffix == ".toml")


def parse_document(text: str, origin: str, *, is_toml: bool) -> Document:
    try:
        values = tomllib.loads(text) if is_toml else json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidFamily(f"{origin}, line {error.lineno}: not JSON: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        raise _toml_fault(text, origin, str(error)) from None
    except RecursionError:
        raise InvalidFamily(f"{origin}: nested too deeply") from None
    if not isinstance(values, dict):
        raise InvalidFamily(f"{origin}, line 1: expected an object with the family's keys")
    document = Document(origin, text, is_toml, values)
    if not is_toml:  # a repeated TOML key is a syntax error already
        _check_repeated(document)
    return document


def in_words(path: KeyPath) -> str:
    """("specs", 2, "format") -> ``specs[3].format``: positions count from 1, like the specs on a model's page."""
    return "".join(f"[{each + 1}]" if isinstance(each, int) else f".{each}" for each in path).lstrip(".")


def _check_repeated(document: Document) -> None:
    try:
        repeated = document.lines().repeated
    except RecursionError:
        raise InvalidFamily(f"{document.origin}: nested too deeply") from None
    for path, line in repeated:
        key = in_words(path)
        raise InvalidFamily(f"{document.origin}, line {line}, key {key}: written twice; take one out", param=key)


def _toml_fault(text: str, origin: str, message: str) -> InvalidFamily:
    found = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(found[1]) if found else text.count("\n") + 1
    what = message[: found.start()] if found else message.removesuffix(" (at end of document)")
    return InvalidFamily(f"{origin}, line {line}: not TOML: {what}")
