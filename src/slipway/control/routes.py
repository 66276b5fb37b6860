"""The routing snapshot: which engines answer for which deployment. Replaced whole, read without a lock."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready replica: its engine's own address and the secret it was launched with."""

    replica: str
    address: str  # "http://127.0.0.1:40123"
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    uid: str
    endpoints: tuple[Endpoint, ...]


Routes = Mapping[str, Route]
