"""The header of a file that lies on a hub: fetched as it is read, kept in a file that has a hole where the weights are.

Who reads such a file sees its real beginning and size, so that headers are checked before gigabytes are fetched.
"""

import os
from pathlib import Path
from typing import BinaryIO

from slipway.errors import BadModelFile
from slipway.formats.gguf import read_gguf_header
from slipway.hubs.listing import Origin, RemoteFile
from slipway.hubs.transfer import get_range

_FIRST_BYTES = 256 * 1024
_MOST_AT_ONCE = 8 * 1024**2
_LARGEST_HEADER = 256 * 1024**2


def fetch_header(origin: Origin, remote: RemoteFile, path: Path) -> None:
    """Make ``path`` with the header of a remote GGUF or safetensors file. Raises FetchFailed, BadModelFile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w+b") as local:
        beginning = RemoteBeginning(origin, remote, local)
        if path.suffix.lower() == ".gguf":
            read_gguf_header(path, beginning)
        else:
            length = int.from_bytes(beginning.read(8), "little")
            beginning.read(min(length, max(0, remote.size - 8), _LARGEST_HEADER))
        local.truncate(remote.size)


class RemoteBeginning:
    """A remote file read from its beginning on. What has been fetched is in ``local`` already."""

    def __init__(self, origin: Origin, remote: RemoteFile, local: BinaryIO) -> None:
        self._origin = origin
        self._remote = remote
        self._local = local
        self._held = 0
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._remote.size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, fewer at the end of the remote file. Raises FetchFailed, BadModelFile."""
        end = self._remote.size if size < 0 else min(self._remote.size, self._at + size)
        if end > _LARGEST_HEADER:
            raise BadModelFile(f"{self._remote.name} of {self._origin.repository} has no header within its first bytes")
        while self._held < end:
            ahead = max(end, self._held + min(max(self._held, _FIRST_BYTES), _MOST_AT_ONCE))
            stop = min(ahead, self._remote.size)
            self._local.seek(self._held)
            self._local.write(get_range(self._origin, self._remote, self._held, stop))
            self._held = stop
        self._local.seek(self._at)
        data = self._local.read(max(0, end - self._at))
        self._at += len(data)
        return data
