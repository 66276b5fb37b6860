"""Reads a file of weights forward, in windows, believing no count or length that the file cannot hold."""

import struct
from pathlib import Path
from typing import Protocol

from slipway.errors import BadModelFile

_WINDOW = 1 << 18
U32, U64 = struct.Struct("<I"), struct.Struct("<Q")


class Readable(Protocol):
    """What is read: a file here, or the beginning of one that lies on a hub."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...


class Cursor:
    """Reads forward through the file in windows, refusing to pass its end."""

    def __init__(self, path: Path, file: Readable, kind: str = "GGUF") -> None:
        self.path = path
        self._kind = kind
        self.size = file.seek(0, 2)
        file.seek(0)
        self._file = file
        self._window = b""
        self._at = 0  # where the next byte lies in the window
        self._start = 0  # where the window lies in the file

    @property
    def position(self) -> int:
        return self._start + self._at

    @property
    def remaining(self) -> int:
        return self.size - self.position

    def bad(self, why: str) -> BadModelFile:
        return BadModelFile(f"{self.path} is not a usable {self._kind} file: {why}")

    def cut(self, what: str, needed: int) -> BadModelFile:
        return BadModelFile(
            f"{self.path} is truncated: {what} needs bytes up to {needed}, the file has {self.size}; fetch it again"
        )

    def peek(self, count: int) -> bytes:
        """The next bytes, fewer at the end of the file, without passing them."""
        count = min(count, self.remaining)
        data = self.take(count, "the header")
        self._at -= count
        return data

    def take(self, count: int, what: str) -> bytes:
        if len(self._window) - self._at < count:
            self._refill(count, what)
        start = self._at
        self._at += count
        return self._window[start : self._at]

    def skip(self, count: int, what: str) -> None:
        if count > self.remaining:
            raise self.cut(what, self.position + count)
        target = self.position + count
        if target <= self._start + len(self._window):
            self._at += count
        else:
            self._file.seek(target)
            self._window, self._start, self._at = b"", target, 0

    def unpack(self, form: struct.Struct, what: str) -> int | float | bool:
        value: int | float | bool = form.unpack(self.take(form.size, what))[0]
        return value

    def count(self, form: struct.Struct, limit: int, what: str) -> int:
        value = int(form.unpack(self.take(form.size, what))[0])
        if value > limit:
            raise self.bad(f"{what} is {value}, more than {limit}; the file is damaged")
        return value

    def text(self, limit: int, what: str) -> str:
        (length,) = U64.unpack(self.take(8, what))
        if length > self.remaining:
            raise self.cut(what, self.position + length)
        if length > limit:
            raise self.bad(f"{what} is {length} bytes long, more than {limit}")
        try:
            return self.take(length, what).decode()
        except UnicodeDecodeError:
            raise self.bad(f"{what} is not UTF-8 text") from None

    def skip_strings(self, count: int, what: str) -> None:
        """Pass over ``count`` strings. The loop is the hot path: a vocabulary has hundreds of thousands."""
        while count:
            if len(self._window) - self._at < 8:
                self._refill(8, what)
            window, at, end, unpack = self._window, self._at, len(self._window), U64.unpack_from
            while count and at + 8 <= end:
                after = at + 8 + unpack(window, at)[0]
                if after > end:
                    break
                at = after
                count -= 1
            self._at = at
            if count and at + 8 <= end:
                self.skip(int(self.unpack(U64, what)), what)
                count -= 1

    def _refill(self, count: int, what: str) -> None:
        if count > self.remaining:
            raise self.cut(what, self.position + count)
        rest = self._window[self._at :]
        self._file.seek(self._start + len(self._window))
        self._start += self._at
        self._window = rest + self._file.read(max(count, _WINDOW))
        self._at = 0
        if len(self._window) < count:  # it shrank while being read
            raise self.cut(what, self.position + count)
