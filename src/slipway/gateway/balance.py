"""Choosing among the endpoints of a deployment: the least busy, in turn among equals. Pure."""

from collections.abc import Sequence


def choose(in_flight: Sequence[int], turn: int) -> int:
    """The index of the endpoint to ask, of one or more. ``turn`` goes up by one with each choice."""
    least = min(in_flight)
    idle = [index for index, count in enumerate(in_flight) if count == least]
    return idle[turn % len(idle)]
