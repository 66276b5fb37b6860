"""Moves one file from a hub to the disk: resumed where it was cut, checked against its digest before it is used.

Requests go through the HTTP client that huggingface_hub configures (proxies, certificates, redirects that drop
secrets on another host). Its own downloader is not used: it forgets what it fetched when it is interrupted.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from slipway.errors import Cancelled, FetchFailed
from slipway.hubs.listing import Origin, RemoteFile
from slipway.hubs.refusal import refused, retry_after_s, unreachable

if TYPE_CHECKING:
    from httpx2 import Response

_CHUNK = 1 << 20
_TIMEOUT_S = 10.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REPORT_EVERY_S = 0.1
LONGEST_WAIT_S = 120.0  # a hub that asks to wait longer is not waited for


class Meter:
    """Counts bytes over all the files of a fetch, reports them now and then, and notices when to stop."""

    def __init__(self, report: Callable[[int, int | None], None], total: int, cancel: threading.Event) -> None:
        self.total = total
        self.cancel = cancel
        self._report = report
        self._fetched = 0
        self._reported_at = 0.0

    def add(self, count: int) -> None:
        """Count bytes that are here now (fewer than none: that turned out bad). Raises Cancelled."""
        self.check()
        self._fetched += count
        now = time.monotonic()
        if now - self._reported_at >= _REPORT_EVERY_S or self._fetched == self.total:
            self._reported_at = now
            self._report(self._fetched, self.total)

    def check(self) -> None:
        if self.cancel.is_set():
            raise Cancelled("the fetch was cancelled; what was fetched is kept for the next time")

    def wait(self, seconds: float) -> None:
        """Wait, or raise Cancelled. What is here is reported again, so that a rate falls while nothing comes."""
        self._report(self._fetched, self.total)
        self.cancel.wait(seconds)
        self.check()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a transfer that gets no further is tried again, and how long it waits, doubling each time."""

    attempts: int = 5
    first_wait_s: float = 0.5


DEFAULT_PATIENCE = Patience()


class _Cut(Exception):
    """The transfer ended before its time; it may be tried again. ``status``: the HTTP status, 0 for the network."""

    def __init__(self, cause: BaseException | str, status: int = 0, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(cause))
        self.status = status
        self.headers = headers or {}

    @property
    def asked_wait_s(self) -> float:
        """Seconds the hub asks to wait, 0 where it does not."""
        return retry_after_s(self.headers) or 0.0


class Transfer:
    """Writes the pieces of one file, one after the other, into a partial file that a later run can continue."""

    def __init__(self, origin: Origin, meter: Meter, patience: Patience | None = None) -> None:
        self._origin = origin
        self._meter = meter
        self._patience = patience or DEFAULT_PATIENCE

    def write(self, pieces: tuple[RemoteFile, ...], partial: Path) -> None:
        """Complete ``partial`` so that it holds the pieces in order, each verified.

        Raises FetchFailed (a piece with a wrong digest is cut off the file first), Cancelled, OSError of the disk.
        """
        if partial.is_symlink():
            partial.unlink()  # never written through, wherever it leads
        with partial.open("r+b" if partial.exists() else "w+b") as file:
            start = 0
            for piece in pieces:
                self._write_piece(piece, file, start)
                start += piece.size
            file.truncate(start)

    def _write_piece(self, piece: RemoteFile, file: BinaryIO, start: int) -> None:
        digest = _Digest(piece)
        held = self._reread(piece, file, start, digest)
        resumed = held > 0
        self._fill(piece, file, start, digest)
        if digest.right():
            return
        self._drop(file, start, digest)
        if resumed:  # what was here before may be what is wrong: once more from the beginning
            self._fill(piece, file, start, digest)
            if digest.right():
                return
            self._drop(file, start, digest)
        raise FetchFailed(
            f"{piece.name} of {self._origin.repository} arrived damaged from {self._origin.hub_name}: its checksum is "
            "not the one the hub gives; the file was removed, launch again to fetch it anew",
            code="checksum_mismatch",
        )

    def _reread(self, piece: RemoteFile, file: BinaryIO, start: int, digest: "_Digest") -> int:
        file.seek(start)
        while digest.count < piece.size and (data := file.read(min(_CHUNK, piece.size - digest.count))):
            digest.update(data)
            self._meter.add(len(data))
        return digest.count

    def _drop(self, file: BinaryIO, start: int, digest: "_Digest") -> None:
        self._meter.add(-digest.count)
        digest.restart()
        file.truncate(start)

    def _fill(self, piece: RemoteFile, file: BinaryIO, start: int, digest: "_Digest") -> None:
        """Fetch what the piece still lacks, trying again after cuts as long as there is progress or patience."""
        failures = 0
        while digest.count < piece.size:
            before = digest.count
            try:
                self._stream(piece, file, start, digest)
            except _Cut as cut:
                failures = 0 if digest.count > before else failures + 1
                if failures >= self._patience.attempts or cut.asked_wait_s > LONGEST_WAIT_S:
                    raise _given_up(self._origin, piece, cut) from None
                if failures:
                    self._meter.wait(max(self._patience.first_wait_s * 2 ** (failures - 1), cut.asked_wait_s))

    def _stream(self, piece: RemoteFile, file: BinaryIO, start: int, digest: "_Digest") -> None:
        held = digest.count
        headers = {**piece.headers, "Accept-Encoding": "identity", **({"Range": f"bytes={held}-"} if held else {})}
        with _response(piece.url, headers) as response:
            status = response.status_code
            if status in _TRANSIENT:
                raise _Cut(f"status {status}", status, response.headers)
            if status == 416 or (held and not _continues(response, held)):  # it cannot resume: from the beginning
                self._drop(file, start, digest)
                if status == 416:
                    raise _Cut("the hub holds fewer bytes than it says", status)
            elif status not in {200, 206}:
                raise refused(self._origin, status, piece.name, response.headers)
            file.seek(start + digest.count)
            for data in response.iter_bytes():
                kept = data[: piece.size - digest.count]
                file.write(kept)
                digest.update(kept)
                self._meter.add(len(kept))
                if digest.count == piece.size:
                    return
        raise _Cut("the connection ended too early")


def _given_up(origin: Origin, piece: RemoteFile, cut: _Cut) -> FetchFailed:
    return refused(origin, cut.status, piece.name, cut.headers) if cut.status else unreachable(origin, cut)


def get_text(url: str, headers: Mapping[str, str]) -> tuple[int, str, Mapping[str, str]]:
    """GET a small text: status, body and headers. Raises OSError where the hub cannot be reached."""
    try:
        with _response(url, headers) as response:
            response.read()
            return response.status_code, response.text, response.headers
    except _Cut as cut:
        raise OSError(str(cut)) from None


def get_range(origin: Origin, piece: RemoteFile, start: int, end: int) -> bytes:
    """The bytes of a remote file from ``start`` to before ``end``. Raises FetchFailed; tries again after a cut."""
    headers = {**piece.headers, "Accept-Encoding": "identity", "Range": f"bytes={start}-{end - 1}"}
    for attempt in range(DEFAULT_PATIENCE.attempts):
        try:
            return _ranged(origin, piece, headers, (start, end))
        except _Cut as cut:
            if attempt == DEFAULT_PATIENCE.attempts - 1 or cut.asked_wait_s > LONGEST_WAIT_S:
                raise _given_up(origin, piece, cut) from None
            time.sleep(max(DEFAULT_PATIENCE.first_wait_s * 2**attempt, cut.asked_wait_s))
    return b""  # no attempt was allowed


def _ranged(origin: Origin, piece: RemoteFile, headers: Mapping[str, str], span: tuple[int, int]) -> bytes:
    start, end = span
    with _response(piece.url, headers) as response:
        status = response.status_code
        if status in _TRANSIENT:
            raise _Cut(f"status {status}", status, response.headers)
        if status not in {200, 206}:
            raise refused(origin, status, piece.name, response.headers)
        skipped = start if status == 200 else 0  # a hub that gives no ranges begins at the beginning
        data = bytearray()
        for part in response.iter_bytes():
            data += part[skipped:]
            skipped = max(0, skipped - len(part))
            if len(data) >= end - start:
                return bytes(data[: end - start])
    raise _Cut("the connection ended too early")


def network_error() -> type[Exception]:
    """The base error of the HTTP client that huggingface_hub uses: httpx or httpx2, by its version."""
    from huggingface_hub.errors import HfHubHTTPError

    bases = HfHubHTTPError.__bases__
    return next(base for base in bases if issubclass(base, Exception) and not issubclass(base, OSError))


@contextmanager
def _response(url: str, headers: Mapping[str, str]) -> Iterator["Response"]:
    from huggingface_hub import get_session

    try:
        with get_session().stream("GET", url, headers=dict(headers), timeout=_TIMEOUT_S) as response:
            yield response
    except network_error() as error:
        raise _Cut(str(error) or type(error).__name__) from None


def _continues(response: "Response", held: int) -> bool:
    return response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {held}-")


class _Digest:
    """The running digest of a piece, in the way its hub writes it, and the number of bytes it covers."""

    def __init__(self, piece: RemoteFile) -> None:
        self._piece = piece
        self.restart()

    def restart(self) -> None:
        kind = (self._piece.digest or "").partition(":")[0]
        self.count = 0
        # git's own name for a blob; the hub has nothing stronger for small files
        self._hash = hashlib.sha1(usedforsecurity=False) if kind == "git" else hashlib.sha256()
        if kind == "git":
            self._hash.update(f"blob {self._piece.size}\0".encode())

    def update(self, data: bytes) -> None:
        self._hash.update(data)
        self.count += len(data)

    def right(self) -> bool:
        expected = (self._piece.digest or "").partition(":")[2]
        return not expected or self._hash.hexdigest() == expected
