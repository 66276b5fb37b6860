"""The catalogue on this machine: verdicts for `slipway engine`, `registrations`, `register`, `unregister`, `docs`."""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from slipway.catalogue.catalogue import load_catalogue
from slipway.catalogue.pages import render_all, stale_pages, write_pages
from slipway.catalogue.registry import register, register_text, registrations, unregister
from slipway.catalogue.resolve import candidates, choose_source, is_repository, location
from slipway.catalogue.written import family_text
from slipway.commands.parser import Parser, add_local, add_model_type
from slipway.commands.table import table
from slipway.commands.verdicts import verdict_json, verdict_line
from slipway.engines import find_engine, verdicts
from slipway.errors import BadRequest, SlipwayError
from slipway.parameters import request_from
from slipway.runtime.devices import detect_machine
from slipway.settings import Settings, load_settings
from slipway.types import DeviceKind, Family, Model, Spec, Verdict


def add_matrix(parser: Parser) -> None:
    """The flags of `slipway engine` that ask for verdicts; `run_engine` answers them."""
    parser.add_argument("--model-name", "-n", metavar="NAME", help="a family of the catalogue: who can run it")
    parser.add_argument("--model-engine", "-en", metavar="NAME", help="this engine's verdicts alone")
    parser.add_argument("--model-format", "-f", metavar="NAME", help="this format alone")
    sizes = ("--size-in-billions", "--model-size-in-billions", "-s")
    parser.add_argument(*sizes, metavar="SIZE", help="this size alone")
    parser.add_argument("--quantization", "-q", metavar="NAME", help="this quantization alone")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_model_type(parser)
    add_local(parser)


def add_registrations(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    add_model_type(parser)
    add_local(parser)
    parser.command(run_registrations)


def add_register(parser: Parser) -> None:
    parser.add_argument("--file", "-f", type=Path, help="the family, TOML or JSON (Xinference's too)")
    parser.add_argument(
        "--from", dest="source", metavar="REPO", help="write the family of owner/name, or of a path, from its own files"
    )
    parser.add_argument("--download-hub", "-dh", metavar="HUB", help="with --from: huggingface or modelscope")
    parser.add_argument("--replace", action="store_true", help="take the place of a family of that name")
    parser.add_argument("--persist", "-p", action="store_true", help="accepted: registrations always persist")
    add_model_type(parser)
    add_local(parser)
    parser.command(run_register)


def add_unregister(parser: Parser) -> None:
    parser.add_argument("--model-name", "-n", required=True, metavar="NAME", help="a family you registered")
    add_model_type(parser)
    add_local(parser)
    parser.command(run_unregister)


def add_docs(parser: Parser) -> None:
    parser.add_argument("--output", type=Path, default=Path("docs/models"), metavar="DIR", help="default: docs/models")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the pages there are out of date")
    parser.command(run_docs)


@dataclass(frozen=True, slots=True)
class Cell:
    """The verdicts of engines on one spec and quantization."""

    model: Model
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "format": str(self.model.format),
            "size": self.model.spec.size,
            "quantization": self.model.quantization,
            "verdicts": [verdict_json(each) for each in self.verdicts],
        }


def run_engine(args: argparse.Namespace) -> int:
    settings = load_settings()
    family = load_catalogue(settings.families).family(args.model_name)
    only = find_engine(args.model_engine).name if args.model_engine else None
    asked = {"model_name": family.name, "model_size_in_billions": args.size_in_billions}
    found = candidates(family, request_from(asked).size, args.model_format, args.quantization)
    kinds = detect_machine().kinds
    cells = []
    for spec, quantization in found:
        model = _model(family, spec, quantization, settings.models)
        said = tuple(each for each in verdicts(model, kinds) if only in (None, each.engine))
        cells.append(Cell(model, said))
    print(json.dumps([cell.as_json() for cell in cells], indent=2) if args.json else matrix_text(family, cells))
    return 0


def run_registrations(args: argparse.Namespace) -> int:
    directory = load_settings().families
    found = registrations(directory)
    if args.json:
        fields = [
            {
                "model_name": each.name,
                "is_builtin": each.builtin,
                "path": each.path and str(each.path),
                "problem": each.problem,
            }
            for each in found
        ]
        print(json.dumps(fields, indent=2))
        return 0
    families = {family.name: family for family in load_catalogue(directory).families}
    rows = [_family_row(families[each.name], each.builtin) for each in found if each.problem is None]
    print(table(("NAME", "CONTEXT", "LANGUAGES", "ABILITIES", "SIZES", "BUILT-IN"), rows))
    for each in found:
        if each.problem is not None:
            print(f"{each.path} cannot be used: {each.problem}")
    return 0


def run_register(args: argparse.Namespace) -> int:
    settings = load_settings()
    if args.source is not None:
        family = _register_from(args, settings)
    elif args.file is not None:
        family = register(args.file.expanduser(), settings.families, replace=args.replace)
    else:
        raise BadRequest("say which family: --file FILE, or --from REPO to have one written; see `register --help`")
    print(f"{family.name} is registered: `slipway engine --model-name {family.name}` tells what can run it")
    return 0


def _register_from(args: argparse.Namespace, settings: Settings) -> Family:
    """Write the family of a repository or path, to --file too where it is given, and register it."""
    from slipway.catalogue.detect import as_family, detect
    from slipway.control.look import look_at

    if is_repository(args.source):
        family, _, reasons = look_at(args.source, args.download_hub, settings)
        print("\n".join(reasons))
    else:
        family = as_family(detect(Path(args.source)))
    text = family_text(family)
    registered = register_text(text, f"{family.name}.toml", settings.families, replace=args.replace)
    if args.file is not None:
        try:
            args.file.expanduser().write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadRequest(f"{args.file} cannot be written: {error.strerror or error}") from None
        print(f"{args.file} holds the family: edit it, then `slipway register -f {args.file} --replace`")
    return registered


def run_unregister(args: argparse.Namespace) -> int:
    unregister(args.model_name, load_settings().families)
    print(f"{args.model_name} is unregistered")
    return 0


def run_docs(args: argparse.Namespace) -> int:
    pages = render_all(load_catalogue(), _engines_of)
    if not args.check:
        write_pages(args.output, pages)
        print(f"{len(pages)} pages are in {args.output}")
        return 0
    stale = stale_pages(args.output, pages)
    if stale:
        raise SlipwayError(f"pages in {args.output} are out of date: {', '.join(stale)}; `slipway docs` writes them")
    print(f"{len(pages)} pages in {args.output} are up to date")
    return 0


def matrix_text(family: Family, cells: Iterable[Cell]) -> str:
    """The matrix for people: quantizations of a spec on which the engines say the same stand together."""
    return "\n".join(_matrix_lines(family, cells))


def _matrix_lines(family: Family, cells: Iterable[Cell]) -> Iterator[str]:
    for (kind, size, said), alike in groupby(
        cells, lambda cell: (cell.model.format, cell.model.spec.size, cell.verdicts)
    ):
        names = ", ".join(cell.model.quantization for cell in alike)
        yield f"{family.name} {size.replace('_', '.')}B {kind}: {names}"
        yield from (f"  {verdict_line(verdict)}" for verdict in said)


def _family_row(family: Family, builtin: bool) -> tuple[str, ...]:
    sizes = dict.fromkeys(spec.size.replace("_", ".") for spec in family.specs)
    lists = (family.languages, [str(each) for each in family.abilities], sizes)
    return (family.name, str(family.context_length), *(", ".join(each) for each in lists), "yes" if builtin else "no")


def _engines_of(family: Family, spec: Spec, quantization: str) -> tuple[str, ...]:
    """The engines that can run it on some kind of device, be it here or not."""
    said = verdicts(_model(family, spec, quantization, Path()), tuple(DeviceKind))
    return tuple(each.engine for each in said if each.can)


def _model(family: Family, spec: Spec, quantization: str, models_dir: Path) -> Model:
    return Model(family, spec, quantization, location(choose_source(spec, quantization), quantization, models_dir))
