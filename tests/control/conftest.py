"""The stand-in hub, for tests of what is asked before a plan."""

from tests.hubs.conftest import hub

__all__ = ["hub"]
