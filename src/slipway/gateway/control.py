"""The controller as the gateway sees it: the seam that tests and benchmarks fill with fakes."""

from typing import Protocol

from slipway.control.reconcile import Status
from slipway.control.routes import Routes
from slipway.deployment import Deployment
from slipway.parameters import LaunchRequest


class RoutingTable(Protocol):
    """What the relay needs on every request: a snapshot that is replaced whole, never changed."""

    @property
    def routes(self) -> Routes: ...
    def statuses(self) -> tuple[Status, ...]: ...


class Control(RoutingTable, Protocol):
    """What the launch API needs besides. All of it raises SlipwayError."""

    async def launch(self, request: LaunchRequest) -> Deployment: ...
    async def wait_ready(self, uid: str) -> None: ...
    async def terminate(self, uid: str) -> None: ...
    def status(self, uid: str) -> Status: ...
    async def close(self) -> None: ...
