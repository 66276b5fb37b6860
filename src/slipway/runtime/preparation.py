"""Between the fetch and the start: the files are checked, and where the engine reads another file, it is made, once.

ggmlv3 is converted to GGUF, a llamafile's model is taken out of it, a cut GGUF is joined.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from slipway.catalogue.config import refuse_code
from slipway.engines.launching import model_path
from slipway.errors import BadModelFile, Cancelled
from slipway.formats import ggml_to_gguf
from slipway.formats.assembly import Progress, assemble
from slipway.formats.gguf import read_gguf
from slipway.formats.pieces import Pieces, gguf_shards, pieces_of, read_pieces
from slipway.formats.safetensors import read_checkpoint
from slipway.hubs.cache import Slot, StoredFile, locked, write_record
from slipway.types import Ability, Format, Hub, Location, Model

_LOCK_POLL_S = 0.2
LLAMA_2_TEMPLATE = Path(ggml_to_gguf.__file__).with_name("llama-2-chat.jinja")


@dataclass(frozen=True, slots=True)
class Making:
    """Who asks for a file, and how they are told about it."""

    progress: Progress
    cancel: threading.Event


def served_path(path: Path, form: Format, models_dir: Path) -> Path | None:
    """Where the file made of a local model will be: in the cache, beside nobody's files. None: it is read as it is.

    Raises BadModelFile.
    """
    if form is Format.GGML:
        name = f"{path.stem}.gguf"
    elif form is Format.GGUF and (pieces := pieces_of(path)) is not None:
        name = pieces.name
    else:
        return None
    mark = sha256(str(path.resolve()).encode()).hexdigest()[:12]
    return models_dir / Hub.LOCAL / f"{path.stem}-{mark}" / "main" / name


def prepare(model: Model, path: Path, making: Making) -> None:
    """Check the files at ``path`` and make the one the engine is given. Blocks: run it in a thread.

    Raises BadModelFile, DiskFull, FetchFailed, Cancelled.
    """
    match model.format:
        case Format.GGML:
            _convert(model, path, making)
        case Format.GGUF if (pieces := pieces_of(path)) is not None:
            _join(model, path, pieces, making)
        case Format.GGUF:
            _check_gguf(path)
        case _:
            refuse_code(path)
            read_checkpoint(path)


def _check_gguf(path: Path) -> None:
    shards = gguf_shards(path)
    for shard in shards:
        header = read_gguf(shard)
        if header.split_count != len(shards):
            raise BadModelFile(
                f"{shard} says it is one of {header.split_count} parts, and {len(shards)} are here: give the parts the "
                "names they had, name-00001-of-… and so on"
            )


def _convert(model: Model, source: Path, making: Making) -> None:
    unstored = ggml_to_gguf.Unstored(
        name=model.family.name, context_length=model.family.context_length, chat_template=_template(model)
    )

    def make(target: Path) -> None:
        ggml_to_gguf.convert(source, target, unstored, making.progress, making.cancel)

    _once(model, lambda target: ggml_to_gguf.is_made_from(target, source, unstored), make, making.cancel)


def _template(model: Model) -> str | None:
    """ggmlv3 holds no chat template: the family's own, or for a model that chats, Llama 2's, the last of that time."""
    if model.family.chat_template is not None or Ability.CHAT not in model.family.abilities:
        return model.family.chat_template
    return LLAMA_2_TEMPLATE.read_text(encoding="utf-8")


def _join(model: Model, source: Path, pieces: Pieces, making: Making) -> None:
    read_pieces(pieces)  # nothing is written of what could not be used
    total = sum(piece.size for piece in pieces.pieces)
    newest = max(piece.path.stat().st_mtime_ns for piece in pieces.pieces)

    def made(target: Path) -> bool:
        return target.is_file() and target.stat().st_size == total and target.stat().st_mtime_ns >= newest

    def make(target: Path) -> None:
        assemble(target, pieces.pieces, making.progress, making.cancel, pieces.check)

    _once(model, made, make, making.cancel)


def _once(model: Model, made: Callable[[Path], bool], make: Callable[[Path], None], cancel: threading.Event) -> None:
    """Make the served file unless it is there; two launches of one model make it once."""
    location, target = model.location, Path(model_path(model))
    if made(target):
        return
    slot = Slot(target.parent, target.name)
    with locked(slot, lambda: _wait(cancel)):
        if made(target):
            return
        make(target)
        stored = (StoredFile(target.name, target.stat().st_size),)
        record = slot.manifest if location.hub is Hub.LOCAL else _fetched_slot(target, location).made
        write_record(record, location, stored, None)


def _fetched_slot(target: Path, location: Location) -> Slot:
    """The slot of the fetched file, which owns what is made of it: they are removed together."""
    fetched = location.path or target
    return Slot(target.parent, fetched.name)


def _wait(cancel: threading.Event) -> None:
    if cancel.wait(_LOCK_POLL_S):
        raise Cancelled("the launch was cancelled while another one made the same file")
