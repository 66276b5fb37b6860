"""The rate of a fetch: bytes a second over its last ten seconds."""

from collections import deque

WINDOW_S = 10.0
_LEAST_S = 0.5  # what has to pass before there is something to measure


class Rate:
    """Fed with what is here at a time, on one clock; a fetch that begins anew is measured anew."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, fetched_bytes: int) -> float | None:
        """Bytes a second; 0 once nothing has come for the whole window, None while there is nothing to measure."""
        if self._samples and fetched_bytes < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now_s, fetched_bytes))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()
        since_s, first = self._samples[0]
        if now_s - since_s < _LEAST_S:
            return None
        return (fetched_bytes - first) / (now_s - since_s)
