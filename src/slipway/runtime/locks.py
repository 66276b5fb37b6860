"""The pinned locks that ship with the package, and what an environment made from one is called."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from slipway import engines
from slipway.errors import EnvironmentFailed
from slipway.types import Environment

LOCKS = Path(engines.__file__).with_name("locks")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)={2,3}([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock's text and the environment's name it gives: ``vllm-0.32.0-cpu-1a2b3c4d``."""

    name: str
    text: str
    sha256: str  # of the text and the Python version

    @property
    def pins(self) -> dict[str, str]:
        """Package -> version; of torch's two names, that of other systems than macOS, which stands last."""
        return dict(_PIN.findall(self.text))


def lock_path(environment: Environment, locks: Path = LOCKS) -> Path:
    return locks / f"{environment.lock}.txt"


def read_lock(environment: Environment, locks: Path = LOCKS) -> Lock:
    """The lock of an environment that Slipway makes. Raises EnvironmentFailed if the package has none of that name."""
    try:
        text = lock_path(environment, locks).read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailed(
            f"this version of Slipway has no lock for {', '.join(environment.requirements)} ({error.strerror}): "
            "name an environment that has it with --engine-python"
        ) from None
    digest = hashlib.sha256(f"{environment.python}\n{text}".encode()).hexdigest()
    engine, _, kind = environment.lock.rpartition("-")
    version = environment.requirements[0].rpartition("==")[2]
    return Lock(f"{engine}-{version}-{kind}-{digest[:8]}", text, digest)
