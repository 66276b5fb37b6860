"""Tool calls in the Hermes form, read as the text comes: <tool_call>{"name": …, "arguments": {…}}</tool_call>.

A call is told as OpenAI streams it: first its name, then its arguments in pieces, as the model writes them. What is not
a call after all (no JSON, no name) is given back as text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')


@dataclass(frozen=True, slots=True)
class Said:
    """Text for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A call begins; ``number`` counts from 0."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Argued:
    """More of a call's arguments, JSON text."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A call is complete."""

    number: int


Event = Said | Called | Argued | Closed


class CallReader:
    """Fed an answer's text piece by piece."""

    __slots__ = ("_count", "_held", "_object", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._count = 0  # calls begun
        self._state = self._between
        self._object = ObjectEnd()

    def feed(self, text: str) -> list[Event]:
        self._held += text
        events: list[Event] = []
        state = None
        while state is not self._state:  # a state that changed may have more to read
            state = self._state
            events.extend(state())
        return events

    def end(self) -> list[Event]:
        """No more text comes: what was held as the beginning of a call is told as what it is."""
        held, self._held = self._held, ""
        if self._state == self._inside:
            return list(self._whole(held, closing=""))
        if self._state == self._between and held.strip():
            return [Said(held)]
        return []

    def _between(self) -> Iterator[Event]:
        """Text, up to a call. Blanks before a call and between calls are not text."""
        at = self._held.find(OPEN)
        if at >= 0:
            before, self._held = self._held[:at].rstrip(), self._held[at + len(OPEN) :]
            self._state = self._inside
            if before:
                yield Said(before)
            return
        sure = len(self._held) - _beginning(self._held, OPEN)
        sure = len(self._held[:sure].rstrip())
        if sure:
            said, self._held = self._held[:sure], self._held[sure:]
            yield Said(said)

    def _inside(self) -> Iterator[Event]:
        """A call whose name is not known yet; one that is written in another order is read once it is whole."""
        head = _HEAD.match(self._held)
        if head is not None:
            self._held = self._held[head.end() :]
            self._object = ObjectEnd()
            self._state = self._arguments
            yield Called(self._count, json.loads(head[1], strict=False))
            self._count += 1
            return
        at = self._held.find(CLOSE)
        if at >= 0:
            body, self._held = self._held[:at], self._held[at + len(CLOSE) :]
            self._state = self._between
            yield from self._whole(body, CLOSE)

    def _arguments(self) -> Iterator[Event]:
        end = self._object.find(self._held)
        given = self._held if end is None else self._held[:end]
        self._held = self._held[len(given) :]
        if given:
            yield Argued(self._count - 1, given)
        if end is not None:
            self._state = self._after
            yield Closed(self._count - 1)

    def _after(self) -> Iterator[Event]:
        """The rest of a call whose arguments are complete. A call that is never closed ends with the answer."""
        at = self._held.find(CLOSE)
        if at >= 0:
            self._held = self._held[at + len(CLOSE) :]
            self._state = self._between
        return
        yield

    def _whole(self, body: str, closing: str) -> Iterator[Event]:
        call = _parsed(body)
        if call is None:
            yield Said(OPEN + body + closing)
            return
        name, arguments = call
        yield Called(self._count, name)
        yield Argued(self._count, arguments)
        yield Closed(self._count)
        self._count += 1


class ObjectEnd:
    """Finds where a JSON object that comes in pieces ends: brackets are counted outside of texts."""

    __slots__ = ("_depth", "_escaped", "_quoted")

    _outside = re.compile(r'[{}\[\]"]')
    _inside = re.compile(r'["\\]')

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def find(self, text: str) -> int | None:
        """The place after its last bracket, or None if that is yet to come. Called with each new piece once."""
        at = 0
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (self._inside if self._quoted else self._outside).search(text, at)
            if found is None:
                return None
            at = found.end()
            if self._step(found[0]):
                return at
        return None

    def _step(self, mark: str) -> bool:
        if mark == "\\":
            self._escaped = True
        elif mark == '"':
            self._quoted = not self._quoted
        else:
            self._depth += 1 if mark in "{[" else -1
        return not self._quoted and self._depth == 0


def _parsed(body: str) -> tuple[str, str] | None:
    """Name and arguments of a whole call, in any order of its keys; None if it is none."""
    try:
        call = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    if isinstance(arguments, str):
        return call["name"], arguments
    return call["name"], json.dumps(arguments, ensure_ascii=False)


def _beginning(text: str, tag: str) -> int:
    """Length of the longest end of ``text`` that is the beginning of ``tag``."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)
