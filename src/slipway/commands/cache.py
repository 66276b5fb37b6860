"""`slipway cached` and `remove-cache`: the model files kept under this machine's home."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.resolve import location
from slipway.commands.parser import Parser, add_local
from slipway.commands.table import table
from slipway.errors import BadRequest, NotFound, nearest
from slipway.hubs.inventory import CachedModel, cached, remove
from slipway.settings import Settings, load_settings
from slipway.types import in_gib

Versions = dict[Path, tuple[str, str]]  # where a model lies -> its family, and its version


def add_cached(parser: Parser) -> None:
    parser.add_argument("--model-name", "-n", metavar="NAME", help="the files of this family alone")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    add_local(parser)
    parser.command(run_cached)


def add_remove_cache(parser: Parser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--model-name", "--model-version", "-n", metavar="NAME", help="a family, or one version of it: see `cached`"
    )
    which.add_argument("--repository", metavar="OWNER/NAME", help="what was fetched from this repository")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # Xinference's; asking is the rule here
    add_local(parser)
    parser.command(run_remove_cache)


def run_cached(args: argparse.Namespace) -> int:
    settings = load_settings()
    versions = _versions(settings)
    found = [
        each for each in cached(settings.models) if args.model_name is None or _named(each, versions, args.model_name)
    ]
    if args.json:
        print(json.dumps([_as_json(each, versions) for each in found], indent=2))
    elif found:
        print(_listing(found, versions))
        print(f"{in_gib(sum(each.bytes for each in found))} in {settings.models}")
    else:
        print(f"no model files are in {settings.models}")
    return 0


def run_remove_cache(args: argparse.Namespace) -> int:
    settings = load_settings()
    versions = _versions(settings)
    doomed = [each for each in cached(settings.models) if _meant(each, versions, args)]
    if not doomed:
        raise _nothing(args.repository or args.model_name, cached(settings.models), versions)
    print(_listing(doomed, versions))
    if not (args.yes or _agreed()):
        print("nothing was deleted")
        return 1
    paths = {each.path for each in doomed}
    freed = remove(settings.models, lambda each: each.path in paths)
    print(f"deleted; {in_gib(freed)} freed")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise BadRequest("nothing was deleted: without a terminal to ask on, say --yes")
    try:
        return input("Delete these files? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _meant(each: CachedModel, versions: Versions, args: argparse.Namespace) -> bool:
    if args.repository is not None:
        return each.repository.lower() == str(args.repository).lower()
    return _named(each, versions, args.model_name)


def _named(each: CachedModel, versions: Versions, name: str) -> bool:
    return name.lower() in {text.lower() for text in versions.get(each.path, ())}


def _nothing(asked: str, there: tuple[CachedModel, ...], versions: Versions) -> NotFound:
    names = {name for each in there for name in (each.repository, *versions.get(each.path, ()))}
    close = nearest(asked, sorted(names))
    hint = f"nearest: {', '.join(close)}" if close else "`slipway cached` shows what is there"
    return NotFound(f"no cached files belong to {asked!r}; {hint}")


def _versions(settings: Settings) -> Versions:
    """What the catalogue says lies where: ``qwen1.5-chat``, ``qwen1.5-chat--7B--ggufv2--q4_k_m``."""
    return dict(_places(settings))


def _places(settings: Settings) -> Iterator[tuple[Path, tuple[str, str]]]:
    for family in load_catalogue(settings.families).families:
        for spec in family.specs:
            for source in spec.sources:
                for quantization in source.quantizations:
                    path = location(source, quantization, settings.models).path
                    if path is not None:
                        yield path, (family.name, f"{family.name}--{spec.size}B--{spec.format}--{quantization}")


def _listing(found: list[CachedModel], versions: Versions) -> str:
    rows = (
        (
            versions.get(each.path, ("", "-"))[1],
            f"{each.hub}: {each.repository}",
            str(len(each.files)),
            in_gib(each.bytes),
            "whole" if each.complete else "partial",
        )
        for each in found
    )
    return table(("MODEL", "REPOSITORY", "FILES", "SIZE", "STATE"), rows)


def _as_json(each: CachedModel, versions: Versions) -> dict[str, object]:
    name, version = versions.get(each.path, (None, None))
    return {
        "model_name": name,
        "model_version": version,
        "hub": str(each.hub),
        "repository": each.repository,
        "revision": each.revision,
        "files": list(each.files),
        "bytes": each.bytes,
        "complete": each.complete,
        "path": str(each.path),
    }
