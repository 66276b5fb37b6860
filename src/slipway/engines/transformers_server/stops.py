"""Stop strings: text goes out as soon as it can no longer be the beginning of one."""

from collections.abc import Sequence


class StopFinder:
    """Fed text piece by piece; gives out what is certain and finds the first stop, also across pieces."""

    __slots__ = ("_held", "_include", "_longest", "_stops", "found")

    def __init__(self, stops: Sequence[str], include: bool = False) -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, stops), default=0)
        self._include = include
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> str:
        """The text that may be shown now. Once a stop is found, it is cut there and nothing more comes."""
        if not self._stops:
            return text
        if self.found is not None:
            return ""
        text = self._held + text
        at, stop = self._first(text)
        if stop is not None:
            self.found, self._held = stop, ""
            return text[: at + len(stop)] if self._include else text[:at]
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held

    def _first(self, text: str) -> tuple[int, str | None]:
        """The stop that is complete first; of two complete with the same character, the longer one."""
        best: tuple[int, int] | None = None
        found: str | None = None
        for stop in self._stops:
            at = text.find(stop)
            if at >= 0 and (best is None or (at + len(stop), at) < best):
                best, found = (at + len(stop), at), stop
        return (best[1], found) if best is not None else (-1, None)

    def _beginning(self, text: str) -> int:
        """Length of the longest end of ``text`` that is the beginning of a stop."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            end = text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0
