"""From a request to a plan: which model, engine, devices and demand, what it needs, and why. Nothing is started.

Pure but for `load_context`, which reads the catalogue and the machine, and for looking at files that are already here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.catalogue.catalogue import Catalogue, load_catalogue
from slipway.catalogue.detect import as_family, detect
from slipway.catalogue.resolve import candidates, choose_source, location
from slipway.control.choice import Candidate, choose, fit_demand, less, place, wants_gpus
from slipway.control.companions import measured
from slipway.control.reconcile import Load
from slipway.control.surroundings import environment_for, is_ready
from slipway.deployment import Plan
from slipway.engines import ENGINES, find_engine, read_options, verdicts
from slipway.engines.base import Engine
from slipway.engines.features import missing, with_own_flags
from slipway.engines.weights import WHILE_LOADING
from slipway.errors import BadRequest, DoesNotFit, Refused
from slipway.hubs.cache import is_cached
from slipway.parameters import LaunchRequest
from slipway.runtime.devices import detect_machine
from slipway.runtime.preparation import served_path
from slipway.settings import Settings
from slipway.types import Architecture, DeviceKind, Format, Hub, Location, Machine, Model, Source, Spec, in_gib

NOTHING = Load()


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan is made against."""

    catalogue: Catalogue
    machine: Machine
    settings: Settings
    running: int = 0  # replicas that share the cores already


def load_context(settings: Settings, load: Load = NOTHING) -> PlanContext:
    """The catalogue, and what this machine has left beside the replicas that are starting."""
    machine = less(detect_machine(), load.starting)
    return PlanContext(load_catalogue(settings.families), machine, settings, load.replicas)


def plan(request: LaunchRequest, context: PlanContext) -> Plan:
    """Choose what the request leaves open and lay out the launch; `check` says whether it can be done here.

    Raises UnknownName, UnknownOption, Refused, BadRequest, BadModelFile.
    """
    engine = find_engine(request.model_engine) if request.model_engine else None
    request = with_own_flags(request, ENGINES if engine is None else (engine,))
    models, reasons = _models(request, context)
    chosen, why = choose(_candidates(models, engine, request, context), request, context.machine)
    engine, model, kind = chosen.engine, chosen.model, chosen.kind
    demand, demand_why = fit_demand(chosen, request, context.machine)
    demand = replace(demand, features=measured(request.features, model))
    memory = engine.estimate(model, demand, kind)
    placement = place(chosen, memory, request, context.machine, context.running)
    uid = request.uid or model.family.name
    environment, environment_why = environment_for(engine, kind, request, context.settings)
    launch = engine.launch(model, uid, demand, placement, read_options(engine, request.engine_options))
    if not environment.made:
        launch = replace(launch, argv=tuple(word.replace("{python}", environment.python) for word in launch.argv))
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
        reasons=(*request.seen.reasons, *reasons, *why, *demand_why, *environment_why),
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
    family = request.seen.family or context.catalogue.family(request.model_name)
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
            source = _source(spec, quantization, request, context)
        except BadRequest:
            if len(found) == 1:
                raise
            continue  # this one is not on that hub; another may be
        where = _served(location(source, quantization, context.settings.models), spec, context)
        size = _bytes_here(where, context.settings.models) or spec.weights_bytes.get(quantization)
        models.append(_looked_at(Model(family, spec, quantization, where, size)))
    if not models:
        choose_source(*found[0], request.download_hub)  # raises, with the hubs that have it
    return models, reasons


def _source(spec: Spec, quantization: str, request: LaunchRequest, context: PlanContext) -> Source:
    """The source on the hub asked for; else one that is here whole, else the hub that answered first."""

    def here(source: Source) -> bool:
        where = location(source, quantization, context.settings.models)
        return source.hub is not Hub.LOCAL and is_cached(where, context.settings.models)

    found = choose_source(spec, quantization, request.download_hub, better=here)
    if request.seen.hub is None or request.download_hub or found.hub is Hub.LOCAL or here(found):
        return found
    return choose_source(spec, quantization, better=lambda source: source.hub is request.seen.hub)


def _looked_at(model: Model) -> Model:
    """A spec that names no architecture gets that of its files, where they are here already."""
    path = model.location.path
    if model.spec.architecture is not None or path is None or not path.exists():
        return model
    detected = detect(path)
    return replace(
        model,
        spec=replace(model.spec, architecture=detected.architecture),
        weights_bytes=detected.weights_bytes,
        location=replace(model.location, path=detected.path),
    )


def _local_models(request: LaunchRequest, context: PlanContext, path: Path) -> tuple[list[Model], tuple[str, ...]]:
    """The model at --model-path: under the family named, with its own architecture, or as a family of its own."""
    detected = detect(path)
    family = as_family(detected, request.model_name or detected.name)
    spec, quantization = family.specs[0], detected.quantization
    known = context.catalogue.get(request.model_name) if request.model_name else None
    reasons = [f"{spec.format} {quantization}: read from {path.name}"]
    if known is not None:
        unsaid = spec.format is Format.GGML  # its files do not store the context length
        context_length = known.context_length if unsaid else min(known.context_length, detected.context_length)
        family = replace(known, context_length=context_length)
        if not any(_same_shape(each.architecture, detected.architecture) for each in known.specs):
            reasons.append(f"the shape of {path.name} is none of {known.name}'s: is it that family?")
    elif request.model_name:
        reasons.append(f"{request.model_name} is no family of the catalogue: taken as a model of its own")
    _agree("format", request.format, str(spec.format), path)
    if spec.format is Format.PYTORCH and request.quantization in WHILE_LOADING:
        quantization = request.quantization
        spec = replace(
            spec,
            quantizations=(quantization,),
            sources=tuple(replace(source, quantizations=(quantization,)) for source in spec.sources),
        )
    _agree("quantization", request.quantization, quantization, path)
    where = location(choose_source(spec, quantization, None), quantization, context.settings.models)
    where = _served(where, spec, context)
    model = Model(family, spec, quantization, where, detected.weights_bytes)
    return [model], tuple(reasons)


def _served(where: Location, spec: Spec, context: PlanContext) -> Location:
    """With a place in the cache for what has to be made of a local file; nothing is written beside it."""
    if where.hub is not Hub.LOCAL or where.path is None:
        return where
    return replace(where, served=served_path(where.path, spec.format, context.settings.models))


def _same_shape(one: Architecture | None, other: Architecture) -> bool:
    return one is None or (one.layers, one.hidden, one.vocab) == (other.layers, other.hidden, other.vocab)


def _agree(what: str, asked: str | None, found: str, path: Path) -> None:
    alike = {"gguf": "ggufv2", "ggml": "ggmlv3"}
    if asked and alike.get(asked.lower(), asked.lower()) != found.lower():
        raise BadRequest(f"{what} {asked!r} is asked for, but {path} holds {found}", param=what)


def _bytes_here(where: Location, models_dir: Path) -> int | None:
    """The bytes of the weights that are here: of the file, or of a whole checkpoint's; None where there are none."""
    path = where.path
    if path is None or path.is_file():
        return path.stat().st_size if path else None
    if where.hub is Hub.LOCAL or not is_cached(where, models_dir):
        return None
    return sum(each.stat().st_size for each in path.glob("*.safetensors") if each.is_file()) or None


def _candidates(
    models: Iterable[Model], engine: Engine | None, request: LaunchRequest, context: PlanContext
) -> list[Candidate]:
    """Every engine, model and kind of device that go together; raises Refused, with the reasons, when none do."""
    engines, wants = ENGINES if engine is None else (engine,), wants_gpus(request)
    ready = {(each, kind): is_ready(each, kind, context.settings) for each in engines for kind in each.kinds}
    found: list[Candidate] = []
    refusals: dict[str, None] = {}
    for model in models:
        for each in engines:
            for kind in each.kinds:
                if wants is not None and wants is (kind is DeviceKind.CPU):
                    continue
                reason = each.match(model, kind) or missing(each, request.features, ENGINES)
                if reason is None:
                    found.append(Candidate(each, model, kind, kind in context.machine.kinds, ready[each, kind]))
                else:
                    refusals[reason if engine else f"{each.name}: {reason}"] = None
    if not found:
        who = "no engine can" if engine is None else f"{engine.name} cannot"
        refusals = refusals or {"it computes on the CPU only: leave out --n-gpu and --gpu-idx": None}
        raise Refused(f"{who} run {_described(models)}: " + "; ".join(refusals), code="refused")
    return found


def _described(models: Iterable[Model]) -> str:
    names = (f"{each.family.name} {each.spec.size}B {each.format} {each.quantization}" for each in models)
    return ", ".join(list(dict.fromkeys(names))[:3])


def _warnings(planned: Plan, request: LaunchRequest, machine: Machine) -> Iterable[str]:
    if planned.model.spec.architecture is None:
        yield "the family names no architecture: the memory is that of a typical model of its size"
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
