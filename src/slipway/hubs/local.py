"""Models that are already on this machine: nothing is fetched, only checked to be there and, as a GGUF, to be whole."""

from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.gguf import read_gguf
from slipway.types import Location


def located(location: Location) -> Path:
    """The location's path. Raises BadModelFile where nothing is there any more, or a GGUF file is damaged."""
    path = location.path or Path(location.repository).expanduser()
    if not path.exists():
        raise BadModelFile(f"{path} does not exist any more: give the path of a GGUF file or a checkpoint directory")
    if path.suffix.lower() == ".gguf":
        read_gguf(path)
    return path
