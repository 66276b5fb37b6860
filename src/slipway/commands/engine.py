"""`slipway engine`: who can run a model; and the engines' environments: `install`, `list`, `remove`, `doctor`."""

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict

from slipway.commands import catalogue
from slipway.commands.home import check_home
from slipway.commands.parser import Parser
from slipway.commands.progress import StatusLine, duration
from slipway.commands.table import table
from slipway.engines import ENGINES, find_engine
from slipway.engines.base import Engine
from slipway.errors import BadRequest, EnvironmentFailed, NotFound, SlipwayError
from slipway.runtime.devices import detect_machine
from slipway.runtime.environment_build import build, uv_version
from slipway.runtime.environments import Environments, Installed
from slipway.runtime.locks import read_lock
from slipway.runtime.pip_configuration import pip_settings, without_secrets
from slipway.runtime.uv import find_uv
from slipway.settings import Settings, load_settings
from slipway.types import DeviceKind, Environment, in_gib

ACTIONS = ("install", "list", "remove", "doctor")
_ALL = "all"


def add_engine(parser: Parser) -> None:
    parser.description = (
        "Which engines can run a model, and why the others cannot (--model-name); or what is done with the engines' "
        "environments: install NAME, list, remove NAME or all, doctor."
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, help="what to do with the engines' environments")
    parser.add_argument("name", nargs="?", help="an engine; for `remove` an environment's name, or all, too")
    parser.add_argument(
        "--device", type=DeviceKind, metavar="KIND", help="cpu, cuda or metal; default: this machine's best"
    )
    catalogue.add_matrix(parser)
    parser.command(run)


def run(args: argparse.Namespace) -> int:
    if args.action is None:
        if args.model_name is None:
            raise BadRequest(f"say what about: --model-name NAME tells what can run it; or one of {', '.join(ACTIONS)}")
        return catalogue.run_engine(args)
    if args.model_name is not None:
        raise BadRequest(f"--model-name asks for verdicts, which `{args.action}` does not give: leave one of them out")
    if args.name is not None and args.action in {"list", "doctor"}:
        raise BadRequest(f"`slipway engine {args.action}` takes no name: it tells of every engine")
    settings = load_settings()
    match args.action:
        case "install":
            return _install(args, settings)
        case "remove":
            return _remove(args, settings)
        case "list":
            return _list(settings, as_json=args.json)
        case _:
            return _doctor(settings)


def _install(args: argparse.Namespace, settings: Settings) -> int:
    if args.name is None:
        raise BadRequest(f"name the engine to install: {', '.join(each.name for each in ENGINES)}")
    engine = find_engine(args.name)
    kind = _kind(engine, args.device)
    environment = engine.environment(kind)
    if environment.embedded:
        print(f"{engine.name} is part of Slipway: there is nothing to install")
        return 0
    check_home(settings)
    environments = _environments(settings)
    line, began_s, cancel = StatusLine(), time.monotonic(), threading.Event()

    def tell(doing: str) -> None:
        line.show(f"{engine.name}: {doing}", time.monotonic() - began_s)

    try:
        environments.hold(environment, tell, cancel).close()
    finally:
        line.clear()
    made = environments.find(environment)
    if made is not None and made.record is not None:
        took = f", made in {duration(made.record.seconds)}" if line.shown else ", here already"
        print(f"{made.name}: {in_gib(made.record.bytes)} in {made.path}{took}")
    return 0


def _kind(engine: Engine, asked: DeviceKind | None) -> DeviceKind:
    """The kind asked for, else the fastest of this machine that the engine has builds for, else its first."""
    if asked is None:
        return next((kind for kind in detect_machine().kinds if kind in engine.kinds), engine.kinds[0])
    if asked not in engine.kinds:
        raise BadRequest(f"{engine.name} has no build for {asked}: it has for {', '.join(engine.kinds)}")
    return asked


def _remove(args: argparse.Namespace, settings: Settings) -> int:
    environments = _environments(settings)
    here = environments.installed()
    if args.name is None:
        raise BadRequest(f"name what to remove: an engine, an environment of `slipway engine list`, or {_ALL}")
    doomed = [each for each in here if _meant(each, args.name)]
    if not doomed and args.name != _ALL:
        raise NotFound(f"no environment of {args.name!r} is here: `slipway engine list` shows what is")
    for each in doomed:
        print(f"{each.name}: removed, {in_gib(environments.remove(each.name))} freed")
    if not doomed:
        print("no environment is here")
    return 0


def _meant(each: Installed, asked: str) -> bool:
    if asked.lower() in {_ALL, each.name}:
        return True
    try:
        engine = find_engine(asked)
    except SlipwayError:
        return False
    return any(each.name.startswith(f"{lock.rpartition('-')[0]}-") for lock in _locks(engine))


def _locks(engine: Engine) -> set[str]:
    return {lock for kind in engine.kinds if (lock := engine.environment(kind).lock)}


def _list(settings: Settings, *, as_json: bool) -> int:
    environments = _environments(settings)
    here = environments.installed()
    if as_json:
        print(json.dumps([_as_json(each, environments) for each in here], indent=2))
    elif here:
        print(table(("ENVIRONMENT", "STATE", "SIZE", "PYTHON", "HAS"), (_row(each, environments) for each in here)))
    else:
        print(f"no environment is in {settings.environments}: a launch makes the one it needs")
    return 0


def _row(each: Installed, environments: Environments) -> tuple[str, ...]:
    if each.record is None:
        return (each.name, _state(each, environments), "-", "-", "-")
    has = ", ".join(f"{name} {version}" for name, version in each.record.versions.items())
    return (each.name, _state(each, environments), in_gib(each.record.bytes), each.record.python, has)


def _as_json(each: Installed, environments: Environments) -> dict[str, object]:
    record = None if each.record is None else asdict(each.record)
    return {"name": each.name, "path": str(each.path), "state": _state(each, environments), "record": record}


def _state(each: Installed, environments: Environments) -> str:
    """ready; broken: not whole; old: made from the lock of another version of Slipway, and not used by this one."""
    known = [engine.environment(kind) for engine in ENGINES for kind in engine.kinds]
    mine = [environment for environment in known if environment.made and read_lock(environment).name == each.name]
    if not mine:
        return "old"
    return "ready" if environments.find(mine[0]) is not None else "broken"


def _doctor(settings: Settings) -> int:
    print("\n".join(_findings(settings)))
    return 0


def _findings(settings: Settings) -> Iterator[str]:
    machine = detect_machine()
    gpus = ", ".join(f"{gpu.name} ({gpu.kind}, {in_gib(gpu.free_bytes)} free)" for gpu in machine.gpus)
    yield f"devices: {gpus or 'no GPU'}; {machine.cores} cores, {in_gib(machine.available_bytes)} of memory free"
    yield f"Python: {sys.executable}, {sys.version.split()[0]}; environments are made with 3.11"
    yield from _about_uv()
    place = next(path for path in (settings.environments, *settings.environments.parents) if path.exists())
    yield f"disk: {in_gib(shutil.disk_usage(place).free)} free for {settings.environments}"
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    yield f"C compiler: {compiler or 'none; Transformers needs one to build its GPTQ kernels: install gcc or clang'}"
    settings_of_pip = pip_settings()
    yield "pip's settings, used too: " + (
        "; ".join(f"{name} = {_shown(value)}" for name, value in sorted(settings_of_pip.items())) or "none"
    )
    environments = _environments(settings)
    for engine in ENGINES:
        for kind in engine.kinds:
            yield f"{engine.name} on {kind}: {_standing(engine.environment(kind), engine, kind, environments)}"


def _shown(value: str) -> str:
    return without_secrets(" ".join(value.split()))


def _about_uv() -> Iterator[str]:
    try:
        yield f"uv: {uv_version()}, {find_uv()}"
    except EnvironmentFailed as error:
        yield f"uv: {error.message}"


def _standing(environment: Environment, engine: Engine, kind: DeviceKind, environments: Environments) -> str:
    if environment.embedded:
        return "part of Slipway, nothing to install"
    try:
        made = environments.find(environment)
        name = read_lock(environment).name
    except EnvironmentFailed as error:
        return error.message
    if made is not None and made.record is not None:
        has = ", ".join(f"{module} {version}" for module, version in made.record.versions.items())
        return f"ready, {made.name}, {in_gib(made.record.bytes)}, {has}"
    install = f"`slipway engine install {engine.name} --device {kind}`, or the first launch, makes it"
    if any(each.name == name for each in environments.installed()):
        return f"{name} is there and not whole: {install} anew"
    lacks = "" if kind in detect_machine().kinds else f"; this machine has no {kind}"
    return f"not made yet, about {in_gib(environment.disk_bytes)}: {install}{lacks}"


def _environments(settings: Settings) -> Environments:
    return Environments(settings.environments, build)
