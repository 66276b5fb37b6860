"""Where each key of a TOML or JSON text stands, so that a message can name the line.

The text is known to parse; only its shape is read here: keys, tables, arrays and where strings end.
"""

import json
from collections import Counter
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]  # ("specs", 2, "format"): keys of tables, positions in arrays

_BLANK = " \t\r\n,"
_BARE_KEY_ENDS = " \t\r\n.=:]"
_SCALAR_ENDS = ",]}#\r\n"


@dataclass(slots=True)
class KeyLines:
    """``first``: the line where each path is first written. ``repeated``: paths written again in one JSON object."""

    first: dict[KeyPath, int] = field(default_factory=lambda: {(): 1})
    repeated: list[tuple[KeyPath, int]] = field(default_factory=list)

    def nearest(self, path: KeyPath) -> int:
        """The line of ``path``, or of the innermost table around it that is written."""
        return next(self.first[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.first)


def toml_lines(text: str) -> KeyLines:
    scanner = _Scanner(text)
    scanner.toml()
    return scanner.found


def json_lines(text: str) -> KeyLines:
    scanner = _Scanner(text)
    scanner.skip_blank()
    scanner.value(())
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = KeyLines()
        self.tables: Counter[KeyPath] = Counter()  # arrays of tables -> how many so far

    def toml(self) -> None:
        prefix: KeyPath = ()
        while self.skip_blank():
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._member(prefix)

    def value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening == "{":
            self.at += 1
            while self.skip_blank() and self.text[self.at] != "}":
                self._member(path)
            self.at += 1
        elif opening == "[":
            self._array(path)
        elif opening in "\"'":
            self._string()
        else:
            self._skip_until(_SCALAR_ENDS)

    def skip_blank(self) -> bool:
        """Go past white space, commas and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self._skip_until("\n")
            elif self.text[self.at] in _BLANK:
                self.at += 1
            else:
                return True
        return False

    def _header(self) -> KeyPath:
        line = self._line()
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        *parents, last = self._dotted_key()
        path: KeyPath = ()
        for key in parents:
            path = self._inside((*path, key))
        path = (*path, last)
        if brackets == 2:
            self.tables[path] += 1
            self.found.first.setdefault(path, line)
        path = self._inside(path)
        self.found.first.setdefault(path, line)
        self._skip_until("\n")
        return path

    def _inside(self, path: KeyPath) -> KeyPath:
        """An array of tables stands for its last table."""
        return (*path, self.tables[path] - 1) if path in self.tables else path

    def _member(self, prefix: KeyPath) -> None:
        line = self._line()
        path = prefix
        for key in self._dotted_key():
            path = (*path, key)
            known = self.found.first.setdefault(path, line)
        if known != line:
            self.found.repeated.append((path, line))
        self.skip_blank()
        self.at += 1  # "=" or ":"
        self.skip_blank()
        self.value(path)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        position = 0
        while self.skip_blank() and self.text[self.at] != "]":
            self.found.first[(*path, position)] = self._line()
            self.value((*path, position))
            position += 1
        self.at += 1

    def _dotted_key(self) -> list[str]:
        keys = []
        while True:
            self.skip_blank()
            start = self.at
            if self.text[start] in "\"'":
                self._string()
                written = self.text[start : self.at]
                keys.append(json.loads(written, strict=False) if written[0] == '"' else written[1:-1])
            else:
                self._skip_until(_BARE_KEY_ENDS)
                keys.append(self.text[start : self.at])
            self._skip_over(" \t")
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        closing = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(closing)
        while not self.text.startswith(closing, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(closing)
        if len(closing) == 3:
            self._skip_over(quote)  # a multi-line string may end with quotes of its own

    def _skip_until(self, ends: str) -> None:
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1

    def _skip_over(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
