"""Fetches a model from its hub into the cache: only what it needs, resumed, verified, marked whole at the end."""

import errno
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile, Cancelled, DiskFull, FetchFailed
from slipway.formats.gguf import read_gguf
from slipway.formats.magic import GGJT_MAGIC, describe_file, open_weights
from slipway.formats.safetensors import read_checkpoint
from slipway.hubs import huggingface, local, modelscope
from slipway.hubs.cache import Slot, StoredFile, begun, check_inside, is_complete, locked, slot_of, write_record
from slipway.hubs.listing import Choose, Listing, RemoteFile, chooser
from slipway.hubs.refusal import Busy
from slipway.hubs.transfer import LONGEST_WAIT_S, Meter, Transfer
from slipway.types import Hub, Location, in_gib

Progress = Callable[[int, int | None], None]  # bytes here, bytes in all (None: not known yet)

_LISTINGS = {Hub.HUGGINGFACE: huggingface.listing, Hub.MODELSCOPE: modelscope.listing}
_SPARE_BYTES = 64 * 1024**2
_LOCK_POLL_S = 0.2
_BUSY_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Target:
    """One file to be made in the cache, of one piece, or of several joined in order."""

    name: str
    pieces: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @property
    def digest(self) -> str | None:
        return "+".join(piece.digest or "" for piece in self.pieces).strip("+") or None


def fetch(location: Location, models_dir: Path, progress: Progress, offline: bool, cancel: threading.Event) -> Path:
    """Fetch a location's files unless they are here, and return the file or directory an engine is given.

    Blocks: run it in a thread. A model that is here whole needs no network. Raises FetchFailed with cause and advice,
    BadModelFile for a model that could not be used, Cancelled soon after ``cancel`` is set.
    """
    if location.hub is Hub.LOCAL:
        return local.located(location)
    slot = slot_of(location, models_dir)
    check_inside(slot, models_dir)
    if is_complete(slot):
        return slot.path
    if offline:
        raise is_offline(location)
    try:
        with locked(slot, lambda: _wait(slot, progress, cancel)):
            if not is_complete(slot):
                _fetch(location, slot, progress, cancel)
    except OSError as error:
        raise _disk_error(slot.root, error) from None
    return slot.path


def is_offline(location: Location) -> FetchFailed:
    """The error for a model that is not here in offline mode."""
    return FetchFailed(
        f"{location.repository} is not in the cache, and offline mode is on: unset SLIPWAY_OFFLINE and HF_HUB_OFFLINE "
        "to fetch it, or give --model-path",
        code="offline",
    )


def _wait(slot: Slot, progress: Progress, cancel: threading.Event) -> None:
    """Wait a little for who fetches the same, showing how far they are."""
    under_way = begun(slot)
    if under_way is not None:
        progress(*under_way)
    if cancel.wait(_LOCK_POLL_S):
        raise Cancelled("the fetch was cancelled while another one of the same model was under way")


def _fetch(location: Location, slot: Slot, progress: Progress, cancel: threading.Event) -> None:
    listing = listed(location, chooser(location), cancel)
    targets = _targets(listing, slot)
    stored = tuple(StoredFile(target.name, target.size, target.digest) for target in targets)
    meter = Meter(progress, sum(target.size for target in targets), cancel)
    meter.add(0)
    _check_space(slot, targets, location.repository)
    write_record(slot.pending, location, stored, listing.commit)
    transfer = Transfer(listing.origin, meter)
    for target in targets:
        _make(target, slot, transfer)
    _check_weights(slot, targets)
    write_record(slot.manifest, location, stored, listing.commit)
    slot.pending.unlink(missing_ok=True)


def listed(location: Location, choose: Choose, cancel: threading.Event) -> Listing:
    """The chosen files of a repository; a hub that is busy is asked again after the time it names."""
    for attempt in range(_BUSY_RETRIES):
        try:
            return _LISTINGS[location.hub](location, choose)
        except Busy as busy:
            wait_s = 2.0**attempt if busy.wait_s is None else busy.wait_s
            if wait_s > LONGEST_WAIT_S:
                raise
            if cancel.wait(wait_s):
                raise Cancelled("the fetch was cancelled while its hub was busy") from None
    return _LISTINGS[location.hub](location, choose)


def _targets(listing: Listing, slot: Slot) -> tuple[Target, ...]:
    names = [file.name for file in listing.files]
    if slot.target is not None and slot.target not in names:
        return (Target(slot.target, listing.files),)
    return tuple(Target(file.name, (file,)) for file in listing.files)


def _partial(target: Target, slot: Slot) -> Path:
    """Named by its content, so that what is left of another revision is never continued."""
    mark = (target.digest or str(target.size)).rpartition(":")[2][:12]
    name = "" if target.name == slot.target else f".{target.name.replace('/', '--')}"
    return slot.own / f"{slot.key}{name}.{mark}.partial"


def _make(target: Target, slot: Slot, transfer: Transfer) -> None:
    """Make one file. One that was made by a fetch that never ended is verified like a partial one."""
    final, partial = slot.root / target.name, _partial(target, slot)
    if final.is_file() and not final.is_symlink() and final.stat().st_size == target.size:
        final.replace(partial)
    transfer.write(target.pieces, partial)
    final.parent.mkdir(parents=True, exist_ok=True)
    if not final.parent.resolve().is_relative_to(slot.root.resolve()):
        raise FetchFailed(f"{final.parent} leads out of the cache by a link; remove the link and launch again")
    partial.replace(final)


def _check_space(slot: Slot, targets: tuple[Target, ...], repository: str) -> None:
    held = sum(_held(target, slot) for target in targets)
    needed = sum(target.size for target in targets) - held
    free = shutil.disk_usage(slot.own).free
    if needed > 0 and needed + _SPARE_BYTES > free:
        raise DiskFull(
            f"{repository} needs {in_gib(needed)} more on the disk of {slot.root}, which has {in_gib(free)} free: "
            "make room (`slipway remove-cache` removes models), or set SLIPWAY_HOME to another disk",
            code="disk_full",
        )


def _held(target: Target, slot: Slot) -> int:
    for path in (slot.root / target.name, _partial(target, slot)):
        if path.is_file():
            return min(path.stat().st_size, target.size)
    return 0


def _check_weights(slot: Slot, targets: tuple[Target, ...]) -> None:
    """Read the headers before any engine does. A bad file that no checksum vouches for is removed."""
    try:
        if slot.target is None:
            read_checkpoint(slot.root)
        for target in targets:
            _check_file(slot.root / target.name)
    except BadModelFile:
        for target in targets:
            if target.digest is None:
                (slot.root / target.name).unlink(missing_ok=True)
        raise


def _check_file(path: Path) -> None:
    if path.suffix.lower() == ".gguf":
        read_gguf(path)
    elif path.suffix.lower() == ".bin":
        with open_weights(path) as file:
            if file.read(len(GGJT_MAGIC)) == GGJT_MAGIC:
                return
        raise BadModelFile(f"{path} is not a ggmlv3 file: it looks like {describe_file(path)}")


def _disk_error(root: Path, error: OSError) -> FetchFailed:
    if error.errno == errno.ENOSPC:
        return DiskFull(
            f"the disk of {root} is full: make room (`slipway remove-cache` removes models) and launch again; what was "
            "fetched is kept",
            code="disk_full",
        )
    return FetchFailed(f"cannot write below {root}: {error.strerror or error}; check its permissions, or SLIPWAY_HOME")
