"""The user's own families: files in a directory, checked before they get there and written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.catalogue.catalogue import Catalogue, family_in, load_catalogue
from slipway.catalogue.document import Document, parse_document, read_document
from slipway.errors import Conflict, Forbidden, SlipwayError, UnknownName
from slipway.types import Family


@dataclass(frozen=True, slots=True)
class Registration:
    """One family of the catalogue. ``path``: the user's file; ``problem``: what is wrong with it, if anything."""

    name: str
    builtin: bool
    path: Path | None = None
    problem: str | None = None


def register(file: Path, families_dir: Path, *, replace: bool = False) -> Family:
    """Check a family file and copy it into ``families_dir``.

    Raises InvalidFamily, or Conflict where the name is built in, or taken and not to be replaced.
    """
    return _registered(read_document(file), file.suffix, families_dir, replace=replace)


def register_text(text: str, name: str, families_dir: Path, *, replace: bool = False) -> Family:
    """The same, of a family's text as `slipway.catalogue.written` writes it; ``name`` stands for it in messages."""
    return _registered(parse_document(text, name, is_toml=True), ".toml", families_dir, replace=replace)


def _registered(document: Document, suffix: str, families_dir: Path, *, replace: bool) -> Family:
    catalogue = load_catalogue(families_dir)
    family = family_in(document, {each.name: each for each in catalogue.families if each.builtin})
    previous = _previous(catalogue, family.name)
    if previous is not None and not replace:
        raise Conflict(f"a family named {family.name!r} is registered already: unregister it first, or replace it")
    target = families_dir / (family.name + suffix)
    with _told(target):
        families_dir.mkdir(parents=True, exist_ok=True)
        _write(target, document.text.encode(), replace=replace)
        if previous is not None and previous != target:
            previous.unlink(missing_ok=True)
    return family


def unregister(name: str, families_dir: Path) -> None:
    """Remove a registered family, or a broken file by its name. Raises UnknownName, or Forbidden for a built-in."""
    catalogue = load_catalogue(families_dir)
    by_name = {each.casefold(): path for each, path in catalogue.files.items()}
    path = by_name.get(name.casefold())
    if path is not None:
        with _told(path):
            path.unlink(missing_ok=True)
    elif catalogue.get(name) is not None:
        raise Forbidden(f"{name} comes with Slipway and cannot be unregistered")
    else:
        raise UnknownName("registered family", name, catalogue.files)


def registrations(families_dir: Path | None) -> tuple[Registration, ...]:
    """Every family, the built-in ones first, and the broken files last with what is wrong with them."""
    catalogue = load_catalogue(families_dir)
    sound = (Registration(each.name, each.builtin, catalogue.files.get(each.name)) for each in catalogue.families)
    broken = (Registration(stem, False, catalogue.files[stem], str(why)) for stem, why in catalogue.broken.items())
    return (*sound, *broken)


def _previous(catalogue: Catalogue, name: str) -> Path | None:
    """The file that a family of this name would replace."""
    known = catalogue.get(name)
    if known is not None and known.builtin:
        raise Conflict(f"a family named {known.name!r} comes with Slipway: choose another name")
    return next((path for each, path in catalogue.files.items() if each.casefold() == name.casefold()), None)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SlipwayError(f"{path} cannot be changed: {error.strerror}") from None


def _write(target: Path, content: bytes, *, replace: bool) -> None:
    """All of it or nothing: a reader never sees half a file, and of two writers of a new name one is refused."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            temporary.replace(target)
        else:
            target.hardlink_to(temporary)
    except FileExistsError:
        raise Conflict(f"{target.name} is in {target.parent} already: unregister it first") from None
    finally:
        temporary.unlink(missing_ok=True)
