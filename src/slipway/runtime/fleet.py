"""What starts and stops replicas. `local_fleet` does it on this host; a fleet of several hosts has the same face."""

from collections.abc import Mapping
from typing import Protocol

from slipway.deployment import Observation, Plan


class Fleet(Protocol):
    """Only the fleet writes observations. ``secrets`` are kept apart from them: they are never shown."""

    def start(self, replica: str, plan: Plan) -> None:
        """Begin to bring a replica up; returns at once."""

    async def stop(self, replica: str) -> None:
        """End a replica and all its processes, and forget it. Unknown names are ignored."""

    def observations(self) -> Mapping[str, Observation]:
        """What is seen now of every replica, by name."""

    def secret(self, replica: str) -> str:
        """The secret a running replica's engine was launched with."""

    async def changed(self) -> None:
        """Return once an observation may have changed since the last call."""

    async def close(self) -> None:
        """End every replica."""
