"""Pure decisions about deployments: their phase from what is wanted and seen, and what to do to close the gap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.deployment import Deployment, Failure, Observation, Phase, Plan


@dataclass(frozen=True, slots=True)
class Status:
    """A deployment with what is seen of its replicas, and the phase that follows from the two."""

    deployment: Deployment
    observations: tuple[Observation, ...]
    phase: Phase
    since: float  # seconds since the epoch
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Start:
    replica: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Stop:
    replica: str


Action = Start | Stop


@dataclass(frozen=True, slots=True)
class Load:
    """What the machine carries when a launch is planned."""

    replicas: int = 0  # that share its cores
    starting: tuple[Plan, ...] = ()  # one for each replica whose memory is promised and not taken yet


def reconcile(desired: Iterable[Deployment], observed: Mapping[str, Observation]) -> tuple[Action, ...]:
    """What to start and stop so that what is seen becomes what is wanted. Failed ones stay, to be seen."""
    wanted = {name: deployment.plan for deployment in desired for name in replica_names(deployment)}
    starts = [Start(name, plan) for name, plan in wanted.items() if name not in observed]
    stops = [Stop(name) for name in observed if name not in wanted]
    return (*stops, *starts)


def replica_names(deployment: Deployment) -> tuple[str, ...]:
    return tuple(f"{deployment.uid}-{number}" for number in range(deployment.replicas))


def load(deployments: Iterable[Deployment], observed: Mapping[str, Observation]) -> Load:
    """What the deployments use and are promised; failed replicas use nothing."""
    phases = {
        name: (replica_phase(observed[name]) if name in observed else Phase.PENDING, deployment.plan)
        for deployment in deployments
        for name in replica_names(deployment)
    }
    live = [plan for phase, plan in phases.values() if phase is not Phase.FAILED]
    taken = {Phase.FAILED, Phase.READY, Phase.STOPPING}
    return Load(len(live), tuple(plan for phase, plan in phases.values() if phase not in taken))


def status(deployment: Deployment, observed: Mapping[str, Observation], stopping: bool = False) -> Status:
    """The status of one deployment. One ready replica makes it ready; it has failed when none can become ready."""
    seen = tuple(observed[name] for name in replica_names(deployment) if name in observed)
    phases = [replica_phase(observation) for observation in seen]
    failures = [each.failure for each in seen if each.failure is not None]
    phase = Phase.STOPPING if stopping else _best(phases)
    since = max((_since(each, phase) for each in seen), default=deployment.created_at)
    return Status(deployment, seen, phase, since or deployment.created_at, failures[0] if failures else None)


def replica_phase(observation: Observation) -> Phase:
    """The phase of one replica: the latest thing that happened to it."""
    if observation.failure is not None:
        return Phase.FAILED
    if observation.stopping_since is not None:
        return Phase.STOPPING
    if observation.ready_since is not None:
        return Phase.READY
    if observation.starting_since is not None:
        return Phase.STARTING
    if observation.installing_since is not None:
        return Phase.INSTALLING
    return Phase.PENDING if observation.fetching_since is None else Phase.FETCHING


_NEAREST = (
    Phase.READY,
    Phase.STARTING,
    Phase.INSTALLING,
    Phase.FETCHING,
    Phase.PENDING,
    Phase.STOPPING,
    Phase.FAILED,
)


def _best(phases: list[Phase]) -> Phase:
    """Of several replicas, the phase nearest to serving; with none, pending."""
    for phase in _NEAREST:
        if phase in phases:
            return phase
    return Phase.PENDING


def _since(observation: Observation, phase: Phase) -> float:
    times = {
        Phase.FETCHING: observation.fetching_since,
        Phase.INSTALLING: observation.installing_since,
        Phase.STARTING: observation.starting_since,
        Phase.READY: observation.ready_since,
        Phase.STOPPING: observation.stopping_since,
        Phase.FAILED: observation.failed_at,
    }
    return times.get(phase) or 0.0
