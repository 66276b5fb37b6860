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

    @property
    def name(self) -> str:
        """As the seed pages write it: ``llama.cpp``."""

    @property
    def kinds(self) -> tuple[DeviceKind, ...]:
        """The kinds of device it has builds for, best first."""

    @property
    def options(self) -> Mapping[str, EngineOption]:
        """Its own options by name; `slipway.engines.options.read_options` checks values against them."""

    @property
    def refused_options(self) -> Mapping[str, str]:
        """Options it has and Slipway does not pass on: name -> why, and what to use instead."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """What it cannot do of `slipway.types.Features`: the field -> why not."""

    @property
    def own_names(self) -> Mapping[str, str]:
        """Its own flags for what launches call otherwise: the flag's name -> the field of LaunchRequest."""

    def match(self, model: Model, kind: DeviceKind) -> str | None:
        """None if it can run the model on that kind of device, else why not, in a sentence."""

    def estimate(self, model: Model, demand: Demand, kind: DeviceKind) -> Memory:
        """Bytes needed by one replica, by terms; of a typical shape where the architecture is not known."""

    def environment(self, kind: DeviceKind) -> Environment:
        """The Python environment its processes run in on one of its kinds of device, for every model and format.

        Its requirements are pinned; the lock it names pins what they need. An embedded environment has no ``python``:
        whoever plans knows the interpreter it runs in.
        """

    def launch(
        self, model: Model, uid: str, demand: Demand, placement: Placement, options: Mapping[str, Any]
    ) -> Launch:
        """How to start one replica. ``options`` have been read through the schema.

        In argv, ``{python}`` stands for the environment's interpreter, ``{port}`` for the port chosen at the start and
        ``{files}`` for the directory where ``Launch.files`` have been written.
        """

    def explain(self, log_tail: Sequence[str]) -> str | None:
        """The cause of a death, in words, from the last lines of its log; None if they do not tell."""
