"""A repository seen without its weights: its small files and the headers of its weights, before a launch is planned.

It lies beside the fetches, in ``.slipway/preview``; its weights have holes and are never given to an engine.
"""

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadModelFile, DiskFull
from slipway.formats.gguf_names import gguf_models
from slipway.formats.safetensors import plain_name
from slipway.hubs.cache import Slot, check_inside, is_whole, slot_of
from slipway.hubs.download import is_offline, listed
from slipway.hubs.header import fetch_header
from slipway.hubs.listing import Listing, RemoteFile, checkpoint_files
from slipway.hubs.transfer import Meter, Transfer
from slipway.types import Location

_SMALL = re.compile(
    r"(config|generation_config|tokenizer_config|chat_template|quantize_config|quant_config|modules|model_index"
    r"|adapter_config|model\.safetensors\.index)\.json|chat_template\.jinja"
)
_WEIGHTS = re.compile(r"[^/]+\.safetensors|.+\.gguf(\.[a-z]|-split-[a-z])?|[^/]+\.(bin|pt|pth|ckpt)", re.IGNORECASE)
_LARGEST_SMALL = 64 * 1024**2
_RECORD = "listing.json"


@dataclass(frozen=True, slots=True)
class Preview:
    """``root`` holds the small files and the headers; ``sizes`` the bytes of every file that matters, by name."""

    location: Location
    root: Path
    sizes: Mapping[str, int]
    asked: bool  # the hub was asked for it just now


def preview(location: Location, models_dir: Path, offline: bool, cancel: threading.Event) -> Preview:
    """Look at a repository. One of which a fetch is whole is known already: no hub is asked.

    Blocks. Raises FetchFailed, BadModelFile for headers that are not sound, Cancelled.
    """
    slot = slot_of(location, models_dir)
    check_inside(slot, models_dir)
    known = _known(location, slot)
    if known is not None and (offline or is_known_whole(location, models_dir)):
        return known
    if offline:
        raise is_offline(location)
    try:
        return _asked(location, slot, cancel)
    except OSError as error:
        raise DiskFull(f"{slot.own} cannot be written: {error.strerror or error}; see to SLIPWAY_HOME") from None


def is_known(location: Location, models_dir: Path) -> bool:
    """Whether the repository was looked at before."""
    return _known(location, slot_of(location, models_dir)) is not None


def is_known_whole(location: Location, models_dir: Path) -> bool:
    """Whether the repository was looked at, and something of it was fetched whole: nobody has to be asked."""
    slot = slot_of(location, models_dir)
    return _known(location, slot) is not None and any(is_whole(record) for record in slot.own.glob("*.json"))


def preview_names(names: Sequence[str]) -> list[str]:
    """The names in a repository that say what it is."""
    return [name for name in names if plain_name(name) and (_SMALL.fullmatch(name) or _WEIGHTS.fullmatch(name))]


def _asked(location: Location, slot: Slot, cancel: threading.Event) -> Preview:
    listing = listed(location, preview_names, cancel)
    remote = {file.name: file for file in listing.files}
    slot.own.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=slot.own, prefix="look-"))
    try:
        _fill(made / "files", listing, Meter(lambda *_: None, 0, cancel), location)
        sizes = {name: file.size for name, file in remote.items()}
        (made / _RECORD).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        shutil.rmtree(slot.preview, ignore_errors=True)
        with suppress(OSError):  # of two that look at once, the first stays: both saw the same
            made.rename(slot.preview)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return Preview(location, _files(slot), sizes, asked=True)


def _fill(root: Path, listing: Listing, meter: Meter, location: Location) -> None:
    remote = {file.name: file for file in listing.files}
    transfer = Transfer(listing.origin, meter)
    root.mkdir()
    for name, file in remote.items():
        if _SMALL.fullmatch(name) and file.size <= _LARGEST_SMALL:
            transfer.write((file,), root / name)
    for name in _headers(remote):
        meter.check()
        with told(root, location):
            fetch_header(listing.origin, remote[name], root / name)


def _headers(remote: Mapping[str, RemoteFile]) -> list[str]:
    """The weights whose headers are read: those of the checkpoint, and of the smallest GGUF model."""
    found: list[str] = []
    safe = any(name.endswith(".safetensors") for name in remote)
    if safe and "config.json" in remote:
        found = [name for name in checkpoint_files("", list(remote)) if name.endswith(".safetensors")]
    models = [model for model in gguf_models(remote) if all(name.endswith(".gguf") for name in model.files)]
    smallest = min(models, key=lambda model: sum(remote[name].size for name in model.files), default=None)
    return [*found, *(smallest.files if smallest else ())]


def _files(slot: Slot) -> Path:
    return slot.preview / "files"


def _known(location: Location, slot: Slot) -> Preview | None:
    try:
        sizes = json.loads((slot.preview / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(sizes, dict) or not all(type(size) is int for size in sizes.values()):
        return None
    return Preview(location, _files(slot), sizes, asked=False)


@contextmanager
def told(root: Path, location: Location) -> Iterator[None]:
    """Errors about a file of the look name the repository, not the place where it lies here."""
    try:
        yield
    except BadModelFile as error:
        where = f"{location.repository} on {location.hub}"
        message = error.message.replace(f"{root}/", f"{where}: ").replace(str(root), where)
        raise BadModelFile(message) from None
