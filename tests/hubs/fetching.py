"""What the tests of fetching share: a tiny model's name, a fetch that records its progress, the refusal of one."""

import threading
from pathlib import Path

import pytest

from slipway.errors import FetchFailed
from slipway.hubs.download import fetch
from slipway.types import Hub, Location
from tests import gguf_writer as writer

REPOSITORY = "Tiny/Model-GGUF"
GGUF = writer.gguf()
BIG = writer.gguf(tensors={"t": (1, (1 << 20, 4))})
both_hubs = pytest.mark.parametrize("kind", [Hub.HUGGINGFACE, Hub.MODELSCOPE], ids=str)


def get(
    location: Location, models: Path, *, offline: bool = False, cancel: threading.Event | None = None
) -> tuple[Path, list[tuple[int, int | None]]]:
    """Fetch, and return the path and the progress reports."""
    seen: list[tuple[int, int | None]] = []

    def progress(fetched: int, total: int | None) -> None:
        seen.append((fetched, total))

    return fetch(location, models, progress, offline, cancel or threading.Event()), seen


def one_file(kind: Hub, *files: str, path: Path | None = None) -> Location:
    return Location(kind, REPOSITORY, None, files or ("tiny.gguf",), path)


def refusal(location: Location, models: Path, *, offline: bool = False) -> str:
    with pytest.raises(FetchFailed) as caught:
        get(location, models, offline=offline)
    return caught.value.message


def partials(models: Path) -> list[Path]:
    return list(models.rglob("*.partial"))
