"""What an engine is: data and pure functions, no process and no I/O. The four are in `slipway.engines.ENGINES`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.types import Demand, DeviceKind, Environment, Launch, Memory, Model, Placement


@dataclass(frozen=True, slots=True)
class EngineOption:
    """One option of an engine's own, reachable as ``--name value``. ``read`` raises ValueError on a bad value."""

    name: str  # as in the API and on the command line, with "_": n_batch
    help: str
    read: Callable[[Any], Any]


class Engine(Protocol):
    """An engine. Every method is pure: the same arguments give the same answer, on any machine."""

    name: str  # as the seed pages write it: "llama.cpp"
    kinds: tuple[DeviceKind, ...]  # device kinds it has builds for, best first
    options: Mapping[str, EngineOption]

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        """None if it can run the model on that kind of device, else why not, in a sentence."""

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        """Bytes needed by one replica, by terms. Raises Refused where the architecture is not known."""

    def environment(self, kind: DeviceKind) -> Environment:
        """The Python environment its process runs in, requirements pinned."""

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        """How to start one replica. ``options`` have been read through the schema."""

    def explain(self, log_tail: Sequence[str]) -> str | None:
        """The cause of a death, in words, from the last lines of its log; None if they do not tell."""
