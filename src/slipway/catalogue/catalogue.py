"""The catalogue: the families that come with Slipway, and those the user registered.

A broken user file never takes the others down: it is kept aside, and reported when it is named or listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.catalogue.document import Document, read_document
from slipway.catalogue.schema import family_from
from slipway.catalogue.xinference import family_from_xinference, is_xinference
from slipway.errors import InvalidFamily, UnknownName
from slipway.types import Family

DATA = Path(__file__).parent / "data"
SUFFIXES = (".toml", ".json")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """``families``: the built-in ones first, then the user's. ``broken``: what is wrong with a file, by its stem."""

    families: tuple[Family, ...]
    broken: Mapping[str, InvalidFamily] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)  # the user's files, by family name, or by stem where broken

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(family.name for family in self.families)

    def get(self, name: str) -> Family | None:
        """The family of that name, without regard to case."""
        return next((family for family in self.families if family.name.casefold() == name.casefold()), None)

    def family(self, name: str) -> Family:
        """Raises UnknownName with the nearest names, or InvalidFamily where the user's file of that name is broken."""
        found = self.get(name)
        if found is not None:
            return found
        for broken, fault in self.broken.items():
            if broken.casefold() == name.casefold():
                raise fault
        raise UnknownName("model", name, self.names)


def load_catalogue(families_dir: Path | None = None) -> Catalogue:
    """Read the built-in families, and the files of ``families_dir`` where there is one."""
    builtin = tuple(family_from(read_document(path), builtin=True) for path in sorted(DATA.glob("*.toml")))
    known = {family.name: family for family in builtin}
    origins = {name.casefold(): "comes with Slipway" for name in known}
    families: dict[Path, Family] = {}
    faults: dict[Path, InvalidFamily] = {}
    for path in _user_files(families_dir):
        try:
            family = family_in(read_document(path), known)
            if family.name.casefold() in origins:
                origin = origins[family.name.casefold()]
                raise InvalidFamily(f"{path.name}: another family named {family.name!r} {origin}; rename one")
        except InvalidFamily as fault:
            faults[path] = fault
        else:
            origins[family.name.casefold()] = f"is registered, in {path.name}"
            families[path] = family
    files = {family.name: path for path, family in families.items()}
    broken = {path.name if path.stem in files else path.stem: path for path in faults}
    return Catalogue(
        families=(*builtin, *families.values()),
        broken={name: faults[path] for name, path in broken.items()},
        files={**files, **broken},
    )


def family_in(document: Document, known: Mapping[str, Family]) -> Family:
    """The user's family in a document: in Slipway's own schema, or in Xinference's. Raises InvalidFamily."""
    if is_xinference(document):
        return family_from_xinference(document, known)
    return family_from(document)


def _user_files(families_dir: Path | None) -> list[Path]:
    if families_dir is None or not families_dir.is_dir():
        return []
    return sorted(path for path in families_dir.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
