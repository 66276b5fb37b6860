"""Which Python environment an engine runs in: Slipway's own, one the user names, or one that is made at the launch."""

import sys
from dataclasses import replace

from slipway.engines.base import Engine
from slipway.errors import BadRequest, EnvironmentFailed
from slipway.parameters import LaunchRequest
from slipway.runtime.environment_build import build, named
from slipway.runtime.environments import Environments
from slipway.settings import Settings
from slipway.types import DeviceKind, Environment, in_gib


def is_ready(engine: Engine, kind: DeviceKind, settings: Settings) -> bool:
    """Whether a launch of the engine on that kind of device has nothing to install."""
    environment = engine.environment(kind)
    return environment.embedded or _made(environment, settings)


def environment_for(
    engine: Engine, kind: DeviceKind, request: LaunchRequest, settings: Settings
) -> tuple[Environment, tuple[str, ...]]:
    """The environment of a launch, and what there is to say about it. Raises BadRequest if one is named in vain."""
    environment = engine.environment(kind)
    if request.engine_python is not None:
        return _named(engine, environment, request)
    if environment.embedded:
        return replace(environment, python=sys.executable), ()
    if _made(environment, settings):
        return environment, ()
    size = in_gib(environment.disk_bytes)
    install = f"`slipway engine install {engine.name} --device {kind}` makes it before"
    return environment, (f"environment: made at the launch, about {size} on the disk; {install}",)


def _named(engine: Engine, environment: Environment, request: LaunchRequest) -> tuple[Environment, tuple[str, ...]]:
    if request.model_engine is None:
        raise BadRequest(
            "--engine-python names the environment of one engine: say which with --model-engine", param="engine_python"
        )
    if environment.embedded:
        raise BadRequest(
            f"{engine.name} is part of Slipway and runs in its environment: leave out --engine-python",
            param="engine_python",
        )
    found, versions = named(request.engine_python or "", environment.probe)
    has = ", ".join(f"{name} {version}" for name, version in versions.items())
    return found, (f"environment: {found.python}, as it is, with {has}",)


def _made(environment: Environment, settings: Settings) -> bool:
    try:
        return Environments(settings.environments, build).find(environment) is not None
    except EnvironmentFailed:
        return False
