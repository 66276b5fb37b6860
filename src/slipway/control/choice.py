"""Choosing what a request leaves open: engine, format, quantization, context, parallel requests, devices, threads.

Pure functions: the same candidates, request and machine give the same choice, with the reason in words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from slipway.deployment import Plan
from slipway.engines.base import Engine
from slipway.errors import BadRequest
from slipway.parameters import LaunchRequest
from slipway.types import Demand, DeviceKind, Format, Machine, Memory, Model, Placement, in_gib

# Best first where several engines can run a model: the fastest on GPUs; on CPUs and Macs the one made for them.
_PREFERENCE = {
    DeviceKind.CUDA: ("vLLM", "SGLang", "Transformers", "llama.cpp"),
    DeviceKind.ROCM: ("vLLM", "SGLang", "Transformers", "llama.cpp"),
    DeviceKind.METAL: ("llama.cpp", "Transformers", "vLLM", "SGLang"),
    DeviceKind.CPU: ("llama.cpp", "vLLM", "Transformers", "SGLang"),
}
_USABLE = 0.9  # the part of free memory that a choice may count on
_PLANNED_GPU_BYTES = 80 * 1024**3  # what a plan assumes of a GPU this machine does not have
_USUAL = Demand(context_length=8192, parallel=4)  # where nothing is asked; the context at most the family's
_LEAST_CONTEXT = 2048
_WORTH_SHARING_BYTES = (
    32 * 1024**2
)  # weights below which a second thread slows llama.cpp: docs/decisions/0004-threads.md


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that can run a model on a kind of device."""

    engine: Engine
    model: Model
    kind: DeviceKind
    here: bool  # this machine has one
    ready: bool  # nothing has to be installed


def choose(found: Sequence[Candidate], request: LaunchRequest, machine: Machine) -> tuple[Candidate, tuple[str, ...]]:
    """The best candidate: here, that fits, on the best device, by the best engine, of most bits."""
    best = min(found, key=lambda each: _rank(each, machine))
    reasons = []
    if request.model_engine is None:
        reasons.append(f"engine {best.engine.name}: {_why_engine(best, found)}")
    others = {(each.model.format, each.model.quantization) for each in found if each.engine is best.engine}
    if len(others) > 1 and (request.format is None or request.quantization is None):
        size = in_gib(_needed(best))
        fits = "the most precise that fits" if _fits(best, machine) else "none fits; this is the smallest"
        free = in_gib(memory_free(best.kind, machine))
        reasons.append(f"{best.model.format} {best.model.quantization}: {fits}, {size} of {free} free")
    return best, tuple(reasons)


def _rank(each: Candidate, machine: Machine) -> tuple[float, ...]:
    """Smaller is better. On a CPU an engine that is there goes before one to be installed; a GPU is worth the wait."""
    fits = _fits(each, machine)
    weights = _needed(each)
    return (
        not each.here,
        not fits,
        _device_rank(each.kind, machine),
        each.kind is DeviceKind.CPU and not each.ready,
        _PREFERENCE[each.kind].index(each.engine.name),
        each.model.format is Format.GGML,  # it lies on the disk twice, and knows less than GGUF
        -weights if fits else weights,
    )


def _why_engine(best: Candidate, found: Sequence[Candidate]) -> str:
    names = list(dict.fromkeys(each.engine.name for each in found))
    if len(names) == 1:
        return "the only one that can run it"
    others = ", ".join(name for name in names if name != best.engine.name)
    if best.here and best.ready and not any(each.ready for each in found if each.engine is not best.engine):
        return f"it is ready; {others} can run it too, in an environment to be made first"
    place = f"first choice on {best.kind}" if best.here else f"first choice on {best.kind}, which this machine lacks,"
    return f"{place} before {others}"


def _device_rank(kind: DeviceKind, machine: Machine) -> int:
    return machine.kinds.index(kind) if kind in machine.kinds else len(machine.kinds)


def _needed(each: Candidate) -> int:
    least = Demand(min(_LEAST_CONTEXT, each.model.family.context_length), 1)
    return each.engine.estimate(each.model, least, each.kind).total_bytes


def _fits(each: Candidate, machine: Machine) -> bool:
    return _needed(each) <= memory_free(each.kind, machine)


def memory_free(kind: DeviceKind, machine: Machine) -> int:
    """Bytes an engine may take on all devices of a kind; where there is none, on a planned machine of 8 GPUs."""
    if kind is DeviceKind.CPU:
        return int(_USABLE * machine.available_bytes)
    gpus = [gpu for gpu in machine.gpus if gpu.kind is kind]
    return int(_USABLE * (sum(gpu.free_bytes for gpu in gpus) if gpus else _PLANNED_GPU_BYTES * 8))


def fit_demand(chosen: Candidate, request: LaunchRequest, machine: Machine) -> tuple[Demand, tuple[str, ...]]:
    """The context and parallel requests: as asked, else the usual ones, lowered until they fit."""
    longest = chosen.model.family.context_length
    if request.context_length is not None and request.context_length > longest:
        raise BadRequest(
            f"--context-length is {request.context_length}: {chosen.model.family.name} reads at most {longest} tokens",
            param="context_length",
        )
    context = request.context_length or min(_USUAL.context_length, longest)
    parallel = request.parallel or _USUAL.parallel
    free = memory_free(chosen.kind, machine)
    for demand in _descending(context, parallel, request):
        if chosen.engine.estimate(chosen.model, demand, chosen.kind).total_bytes <= free:
            return demand, _why_demand(demand, Demand(context, parallel), longest, request)
    return demand, ()


def _descending(context: int, parallel: int, request: LaunchRequest) -> Sequence[Demand]:
    """What to try, largest first: fewer parallel requests, then a shorter context; what was asked for stays."""
    parallels = [parallel] if request.parallel else sorted({parallel, max(1, parallel // 2), 1}, reverse=True)
    contexts = [context]
    while request.context_length is None and contexts[-1] // 2 >= _LEAST_CONTEXT:
        contexts.append(contexts[-1] // 2)
    return [Demand(length, count) for length in contexts for count in parallels]


def _why_demand(got: Demand, usual: Demand, longest: int, request: LaunchRequest) -> tuple[str, ...]:
    if got != usual:
        return (f"context {got.context_length} tokens, {got.parallel} at once: lowered so that it fits in memory",)
    if request.context_length is None and got.context_length < longest:
        return (f"context {got.context_length} tokens: the default; --context-length takes up to {longest}",)
    return ()


def place(chosen: Candidate, memory: Memory, request: LaunchRequest, machine: Machine, running: int) -> Placement:
    """The devices and threads of each replica. Raises BadRequest for GPUs this machine does not have."""
    weights = sum(term.bytes for term in memory.terms if term.name == "weights")
    threads = threads_share(machine.cores, running + request.replicas, weights)
    if chosen.kind is DeviceKind.CPU:
        return Placement(DeviceKind.CPU, threads=threads)
    gpus = [gpu for gpu in machine.gpus if gpu.kind is chosen.kind]
    unknown = set(request.gpu_indexes) - {gpu.index for gpu in gpus}
    if unknown and gpus:
        have = ", ".join(str(gpu.index) for gpu in gpus)
        raise BadRequest(f"--gpu-idx names {sorted(unknown)}, and this machine has {have}", param="gpu_idx")
    each_bytes = min((gpu.free_bytes for gpu in gpus), default=_PLANNED_GPU_BYTES)
    count = len(request.gpu_indexes) or request.n_gpu or _gpus_needed(memory, each_bytes, chosen.model)
    if request.gpu_indexes and request.n_gpu not in (None, count):
        raise BadRequest(f"--n-gpu is {request.n_gpu}, but --gpu-idx names {count}", param="n_gpu")
    by_room = sorted(gpus, key=lambda gpu: -gpu.free_bytes)[:count]
    indexes = request.gpu_indexes or tuple(sorted(gpu.index for gpu in by_room))
    return Placement(chosen.kind, indexes, count, threads, present=len(gpus) >= count)


def _gpus_needed(memory: Memory, each_bytes: int, model: Model) -> int:
    """The least number of GPUs whose memory holds it and among which the attention heads divide evenly."""
    least = max(1, math.ceil(memory.total_bytes / max(1.0, _USABLE * each_bytes)))
    heads = model.spec.architecture.heads if model.spec.architecture else 0
    return next((count for count in range(least, least + 64) if heads % count == 0), least)


def wants_gpus(request: LaunchRequest) -> bool | None:
    """True: only GPUs will do; False: only the CPU; None: whatever is best."""
    if request.n_gpu == 0:
        return False
    return True if request.n_gpu or request.gpu_indexes else None


def less(machine: Machine, promised: Sequence[Plan]) -> Machine:
    """The machine without the memory that starting replicas are promised and have not taken yet."""
    on_cpu = sum(plan.memory.total_bytes for plan in promised if plan.placement.kind is DeviceKind.CPU)
    on_gpu: dict[int, int] = {}
    for plan in promised:
        for index in plan.placement.indexes:
            on_gpu[index] = on_gpu.get(index, 0) + plan.memory.total_bytes // plan.placement.count
    gpus = tuple(replace(gpu, free_bytes=max(0, gpu.free_bytes - on_gpu.get(gpu.index, 0))) for gpu in machine.gpus)
    return replace(machine, available_bytes=max(0, machine.available_bytes - on_cpu), gpus=gpus)


def threads_share(cores: int, replicas: int, weights_bytes: int) -> int:
    """Threads for one of several engines: they spin while they wait, so together they must not exceed the cores.

    A very small model gets one: its threads would wait for each other longer than they compute.
    """
    if weights_bytes < _WORTH_SHARING_BYTES:
        return 1
    return max(1, cores // max(1, replicas))
