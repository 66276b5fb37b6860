"""What a hub says it has, and which of it a model needs. Pure; the hubs beside it fill it in."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from slipway.errors import BadModelFile, BadRequest, FetchFailed, nearest
from slipway.formats.safetensors import plain_name
from slipway.types import Hub, Location

Choose = Callable[[Sequence[str]], Sequence[str]]  # all the names in a repository -> those to fetch

_HUB_NAMES = {Hub.HUGGINGFACE: "Hugging Face", Hub.MODELSCOPE: "ModelScope"}
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_BESIDE_WEIGHTS = re.compile(
    r"[^/]*config\.json|tokenizer[^/]*\.json|(vocab|merges|special_tokens_map|added_tokens|chat_template)\.(json|txt|jinja)"
    r"|[^/]+\.(tiktoken|model)|model\.safetensors\.index\.json"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom we ask for what: the hub, its address without secrets, and whether a token goes with the requests."""

    hub: Hub
    endpoint: str
    repository: str
    with_token: bool

    @property
    def hub_name(self) -> str:
        return _HUB_NAMES[self.hub]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository. ``digest`` is ``sha256:…`` or ``git:…`` (a blob's id); None where the hub has none."""

    name: str
    size: int
    digest: str | None
    url: str
    headers: Mapping[str, str] = field(repr=False)  # may hold a token


@dataclass(frozen=True, slots=True)
class Listing:
    """The files to fetch, at one fixed state of a repository."""

    origin: Origin
    commit: str | None
    files: tuple[RemoteFile, ...]


def address(text: str, variable: str) -> str:
    """A hub's address without a final slash. Raises BadRequest naming the variable it came from."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadRequest(f"{variable} is not the address of a hub: give one such as https://hub.example")
    return text.rstrip("/")


def chooser(location: Location) -> Choose:
    """How to choose among a repository's names: the location's own files, or what a checkpoint needs.

    The choice raises FetchFailed for a file that is not there, BadModelFile for a repository without safe weights.
    """

    def choose(names: Sequence[str]) -> Sequence[str]:
        return _named(location, names) if location.files else checkpoint_files(location.repository, names)

    return choose


def checkpoint_files(repository: str, names: Sequence[str]) -> list[str]:
    """Config, tokenizer, templates and safetensors weights; never pickles or code. Raises BadModelFile."""
    safe = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    weights = [name for name in safe if _WEIGHTS.fullmatch(name)] or safe
    if not weights:
        raise BadModelFile(
            f"{repository} has no safetensors weights; pickles (.bin, .pt) run code when loaded and are never "
            "fetched: use a repository that holds safetensors or GGUF"
        )
    if "config.json" not in names:
        raise BadModelFile(f"{repository} has no config.json: it is not a checkpoint that can be launched")
    return [name for name in names if name in set(weights) or _BESIDE_WEIGHTS.fullmatch(name)]


def _named(location: Location, names: Sequence[str]) -> Sequence[str]:
    for wanted in location.files:
        if wanted not in names:
            close = nearest(wanted, names)
            raise FetchFailed(
                f"{location.repository} has no file {wanted}"
                + (f"; nearest: {', '.join(close)}" if close else "")
                + (f" (revision {location.revision})" if location.revision else "")
            )
        if not plain_name(wanted):
            raise FetchFailed(f"{location.repository} names {wanted!r}, outside its own directory; it is refused")
    return location.files
