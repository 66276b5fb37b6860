"""From a request to a plan: which model, engine, devices and demand, what it needs, and why. Nothing is started.

Pure but for `load_context`, which reads the catalogue and the machine, and for looking at files that are already here.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.catalogue.catalogue import Catalogue, load_catalogue
from slipway.catalogue.detect import as_family, detect
from slipway.catalogue.resolve import candidates, choose_source, location
from slipway.control.choice import Candidate, choose, fit_demand, place
from slipway.deployment import Plan
from slipway.engines import ENGINES, find_engine, read_options, verdicts
from slipway.engines.base import Engine
from slipway.errors import BadRequest, DoesNotFit, Refused
from slipway.parameters import LaunchRequest
from slipway.runtime.devices import detect_machine
from slipway.settings import Settings
from slipway.types import DeviceKind, Environment, Format, Machine, Model, in_gib


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan is made against."""

    catalogue: Catalogue
    machine: Machine
    settings: Settings
    running: int = 0  # replicas that share the cores already


def load_context(settings: Settings, running: int = 0) -> PlanContext:
    return PlanContext(load_catalogue(settings.families), detect_machine(), settings, running)


def plan(request: LaunchRequest, context: PlanContext) -> Plan:
    """Choose what the request leaves open and lay out the launch; `check` says whether it can be done here.

    Raises UnknownName, UnknownOption, Refused, BadRequest, BadModelFile.
    """
    engine = find_engine(request.model_engine) if request.model_engine else None
    models, reasons = _models(request, context)
    chosen, why = choose(_candidates(models, engine, request, context), request, context.machine)
    engine, model, kind = chosen.engine, chosen.model, chosen.kind
    demand, demand_why = fit_demand(chosen, request, context.machine)
    memory = engine.estimate(model, demand, kind)
    placement = place(chosen, memory, request, context.machine, context.running)
    uid = request.uid or model.family.name
    environment = _environment(engine, model, kind)
    launch = engine.launch(model, uid, demand, placement, read_options(engine, request.engine_options))
    if environment.embedded:
        launch = replace(launch, argv=tuple(word.replace("{python}", sys.executable) for word in launch.argv))
    planned = Plan(
        uid=uid,
        engine=engine.name,
        model=model,
        demand=demand,
        environment=environment,
        launch=launch,
        memory=memory,
        placement=placement,
        verdicts=verdicts(model, context.machine.kinds),
        reasons=(*reasons, *why, *demand_why),
    )
    return replace(planned, warnings=tuple(_warnings(planned, request, context.machine)))


def check(planned: Plan, request: LaunchRequest, machine: Machine) -> None:
    """Raise Refused or DoesNotFit if the plan cannot be launched on this machine."""
    obstacles = tuple(_obstacles(planned, machine))
    if obstacles:
        raise Refused("; ".join(obstacles), code="cannot_launch_here")
    needed = planned.memory.total_bytes * request.replicas
    available = _available(planned, machine)
    if needed > available:
        raise DoesNotFit(_too_big(planned, request.replicas, available), code="insufficient_memory")


def _models(request: LaunchRequest, context: PlanContext) -> tuple[list[Model], tuple[str, ...]]:
    """The models the request may mean, in page order, and what was chosen on the way."""
    if request.model_path:
        return _local_models(request, context, Path(request.model_path).expanduser().absolute())
    family = context.catalogue.family(request.model_name)
    found = candidates(family, request.size, request.format, request.quantization)
    reasons: tuple[str, ...] = ()
    sizes = list(dict.fromkeys(spec.size for spec, _ in found))
    if request.size is None and len(sizes) > 1:
        smallest = min(sizes, key=lambda size: float(size.replace("_", ".")))
        found = tuple((spec, quantization) for spec, quantization in found if spec.size == smallest)
        others = ", ".join(size for size in sizes if size != smallest)
        reasons = (f"size {smallest}: the smallest of the family; --size-in-billions takes {others} too",)
    models = []
    for spec, quantization in found:
        try:
            source = choose_source(spec, quantization, request.download_hub)
        except BadRequest:
            if len(found) == 1:
                raise
            continue  # this one is not on that hub; another may be
        where = location(source, quantization, context.settings.models)
        models.append(Model(family, spec, quantization, where, _bytes_here(where.path)))
    if not models:
        choose_source(*found[0], request.download_hub)  # raises, with the hubs that have it
    return models, reasons


def _local_models(request: LaunchRequest, context: PlanContext, path: Path) -> tuple[list[Model], tuple[str, ...]]:
    """The model at --model-path: under the family named, with its own architecture, or as a family of its own."""
    detected = detect(path)
    family = as_family(detected, request.model_name or detected.name)
    spec, quantization = family.specs[0], detected.quantization
    known = request.model_name and context.catalogue.get(request.model_name)
    if known:
        family = replace(known, context_length=min(known.context_length, detected.context_length))
    _agree("format", request.format, str(spec.format), path)
    _agree("quantization", request.quantization, quantization, path)
    where = location(choose_source(spec, quantization, None), quantization, context.settings.models)
    model = Model(family, spec, quantization, where, detected.weights_bytes)
    return [model], (f"{spec.format} {quantization}: read from {path.name}",)


def _agree(what: str, asked: str | None, found: str, path: Path) -> None:
    alike = {"gguf": "ggufv2", "ggml": "ggmlv3"}
    if asked and alike.get(asked.lower(), asked.lower()) != found.lower():
        raise BadRequest(f"{what} {asked!r} is asked for, but {path} holds {found}", param=what)


def _bytes_here(path: Path | None) -> int | None:
    return path.stat().st_size if path is not None and path.is_file() else None


def _candidates(
    models: Iterable[Model], engine: Engine | None, request: LaunchRequest, context: PlanContext
) -> list[Candidate]:
    """Every engine, model and kind of device that go together; raises Refused, with the reasons, when none do."""
    engines = ENGINES if engine is None else (engine,)
    found: list[Candidate] = []
    refusals: dict[str, None] = {}
    for model in models:
        for each in engines:
            for kind in each.kinds:
                if request.n_gpu == 0 and kind is not DeviceKind.CPU:
                    continue
                reason = each.match(model, kind)
                if reason is None:
                    found.append(Candidate(each, model, kind, kind in context.machine.kinds))
                else:
                    refusals[f"{each.name}: {reason}"] = None
    if not found:
        who = "no engine can" if engine is None else f"{engine.name} cannot"
        raise Refused(f"{who} run {_described(models)}: " + "; ".join(refusals), code="refused")
    return found


def _described(models: Iterable[Model]) -> str:
    names = (f"{each.family.name} {each.spec.size}B {each.format} {each.quantization}" for each in models)
    return ", ".join(list(dict.fromkeys(names))[:3])


def _environment(engine: Engine, model: Model, kind: DeviceKind) -> Environment:
    environment = engine.environment(model, kind)
    return replace(environment, python=sys.executable) if environment.embedded else environment


def _warnings(planned: Plan, request: LaunchRequest, machine: Machine) -> Iterable[str]:
    yield from _obstacles(planned, machine)
    available = _available(planned, machine)
    if planned.placement.present and planned.memory.total_bytes * request.replicas > available:
        yield _too_big(planned, request.replicas, available)


def _obstacles(planned: Plan, machine: Machine) -> Iterable[str]:
    """Why this plan cannot be launched here, whatever is free."""
    kind, count = planned.placement.kind, planned.placement.count
    if not planned.placement.present:
        yield f"{planned.engine} needs {count} {kind} device{'s' * (count > 1)} for this model; this machine has " + (
            ", ".join(map(str, machine.kinds))
        )
    if not planned.environment.embedded:
        yield (
            f"{planned.engine} runs in an environment of its own, which this version does not make yet: "
            "only llama.cpp can be launched; --dry-run shows the plan"
        )
    elif planned.model.format is Format.GGML:
        yield "ggmlv3 files have to be converted to GGUF, which this version does not do yet: choose a ggufv2 spec"


def _available(planned: Plan, machine: Machine) -> int:
    if planned.placement.kind is DeviceKind.CPU:
        return machine.available_bytes
    chosen = planned.placement.indexes
    return sum(gpu.free_bytes for gpu in machine.gpus if gpu.index in chosen)


def _too_big(planned: Plan, replicas: int, available: int) -> str:
    times = f", {replicas} times" if replicas > 1 else ""
    return (
        f"it does not fit: {planned.memory.in_words()}{times}, and {in_gib(available)} are free on "
        f"{planned.placement.kind}; choose a smaller size or quantization, or lower --context-length or --parallel"
    )
