"""What a launch may ask in engine-neutral words: which engine has it, and an engine's own flags for the same things."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from slipway.engines.base import Engine
from slipway.errors import BadRequest
from slipway.parameters import LaunchRequest, parameter_of, read_parameter
from slipway.types import Features


def missing(engine: Engine, features: Features, engines: Iterable[Engine]) -> str | None:
    """Why an engine cannot do what is asked, with the engines that can; None if it can."""
    for name in features.asked:
        if name in engine.lacks:
            others = [each.name for each in engines if name not in each.lacks]
            can = f"; {' and '.join(others)} can" if others else ""
            return f"{flag(name)} is not for {engine.name}: {engine.lacks[name]}{can}"
    return None


def with_own_flags(request: LaunchRequest, engines: Iterable[Engine]) -> LaunchRequest:
    """The request with these engines' own flags for engine-neutral wishes read as those, and the GPUs they ask for.

    Raises BadRequest where both are given, or where the numbers of GPUs contradict each other.
    """
    own_names = {own: neutral for engine in engines for own, neutral in engine.own_names.items()}
    left: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for given, value in request.engine_options.items():
        own = given.lstrip("-").replace("-", "_")
        neutral = own_names.get(own) if value is not None else None
        if neutral is None:
            left[given] = value
            continue
        if neutral in fields or getattr(request, neutral) not in (None, ()):
            raise BadRequest(f"--{own.replace('_', '-')} is {flag(neutral)}: give one of them", param=own)
        fields[neutral] = read_parameter(neutral, value)
    return _with_gpus(replace(request, engine_options=left, **fields))


def flag(field: str) -> str:
    """A launch parameter as the command line writes it."""
    return parameter_of(field).flags[0]


def _with_gpus(request: LaunchRequest) -> LaunchRequest:
    """``n_gpu`` from the sizes of tensor and pipeline parallelism, where they are given."""
    tensor, stages = request.tensor_parallel, request.pipeline_parallel
    if tensor is None and stages is None:
        return request
    given = request.n_gpu if request.n_gpu is not None else len(request.gpu_indexes) or None
    wanted = (tensor or 1) * (stages or 1)
    if given is None:
        return replace(request, n_gpu=wanted)
    if (tensor is not None and given != wanted) or given == 0 or given % wanted:
        sizes = f"{tensor or 1} for each layer × {stages or 1} stages"
        raise BadRequest(f"{given} GPUs are asked for, which are not {sizes}", param="n_gpu")
    return request
