"""What a launch would do, what is wanted and what is seen: Plan, Deployment (by the API), Observation (by the fleet).

All immutable data; phase is derived from them in `control.reconcile`, never stored.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from slipway.errors import EngineFailed, SlipwayError
from slipway.types import Ability, Demand, Environment, Launch, Memory, Model, Placement, Verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a launch would do, computed before anything is done."""

    uid: str
    engine: str
    model: Model
    demand: Demand
    environment: Environment
    launch: Launch
    memory: Memory
    placement: Placement
    verdicts: tuple[Verdict, ...]
    reasons: tuple[str, ...] = ()  # what was chosen for the user, and why
    warnings: tuple[str, ...] = ()  # why this could not be launched here as it stands

    def as_json(self) -> dict[str, Any]:
        """The plan as ``slipway launch --dry-run --json`` prints it; sizes in bytes."""
        model, location = self.model, self.model.location
        return {
            "uid": self.uid,
            "engine": self.engine,
            "model": {
                "family": model.family.name,
                "format": str(model.format),
                "size": model.spec.size,
                "quantization": model.quantization,
                "context_length": self.demand.context_length,
                "parallel": self.demand.parallel,
            },
            "detected": _detected(model),
            "source": {
                "hub": str(location.hub),
                "repository": location.repository,
                "revision": location.revision,
                "files": list(location.files),
                "path": None if location.path is None else str(location.path),
            },
            "environment": {
                "python": self.environment.python,
                "requirements": list(self.environment.requirements),
                "embedded": self.environment.embedded,
                "lock": self.environment.lock or None,
            },
            "argv": list(self.launch.argv),
            "env": dict(self.launch.env),
            "memory": {"terms": [asdict(term) for term in self.memory.terms], "total_bytes": self.memory.total_bytes},
            "devices": {
                "kind": str(self.placement.kind),
                "count": self.placement.count,
                "indexes": list(self.placement.indexes),
                "threads": self.placement.threads,
                "present": self.placement.present,
            },
            "verdicts": [
                {
                    "engine": verdict.engine,
                    "can": verdict.can,
                    "here": verdict.here,
                    "devices": [str(kind) for kind in verdict.kinds],
                    "reason": verdict.reason,
                }
                for verdict in self.verdicts
            ],
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
        }


def _detected(model: Model) -> dict[str, Any] | None:
    """What was read from a model's own files; None for one of the catalogue."""
    family, shape = model.family, model.spec.architecture
    if family.detected_from is None:
        return None
    offered = {str(spec.format): list(spec.quantizations) for spec in family.specs}
    for spec in family.specs:
        offered[str(spec.format)] = list(dict.fromkeys((*offered[str(spec.format)], *spec.quantizations)))
    return {
        "from": family.detected_from,
        "architecture": None if shape is None else shape.name,
        "context_length": family.context_length,
        "abilities": [str(ability) for ability in family.abilities],
        "chat_template": Ability.CHAT in family.abilities,
        "tool_parser": family.tool_parser,
        "quantizations": offered,
        "weights_bytes": model.weights_bytes,
    }


class Phase(StrEnum):
    """Where a deployment stands: derived from desired and observed, never stored."""

    PENDING = "pending"
    FETCHING = "fetching"
    INSTALLING = "installing"  # the engine's environment is being made
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the user wants. Only the API writes it."""

    uid: str
    plan: Plan
    replicas: int
    created_at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replica is not running: the cause in words, and the end of its log."""

    cause: str
    log_tail: tuple[str, ...] = ()
    exit_code: int | None = None
    kind: type[SlipwayError] = EngineFailed  # what a caller who waits for it is told


@dataclass(frozen=True, slots=True)
class Observation:
    """The facts known of one replica. Only the fleet writes it. Times in seconds since the epoch."""

    replica: str  # "<uid>-<n>"
    fetching_since: float | None = None
    fetched_bytes: int = 0
    fetch_total_bytes: int | None = None
    fetch_bytes_per_s: float | None = None  # over the last ten seconds; None while there is nothing to measure
    installing_since: float | None = None
    installing: str | None = None  # what is being done, in words
    starting_since: float | None = None
    ready_since: float | None = None
    stopping_since: float | None = None
    failed_at: float | None = None
    failure: Failure | None = None
    pid: int | None = None
    address: str | None = None  # "http://127.0.0.1:40123", the engine's own
    log_path: Path | None = None
    restarts: int = 0
