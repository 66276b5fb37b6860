"""Settings from the environment, validated once. `slipway serve` flags override them in the composition root."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import BadRequest

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9997
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Settings:
    """``home`` holds everything Slipway writes: models, families, logs. ``api_keys`` guard the gateway when set."""

    home: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    api_keys: tuple[str, ...] = ()
    offline: bool = False

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def families(self) -> Path:
        return self.home / "families"

    @property
    def environments(self) -> Path:
        return self.home / "environments"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read SLIPWAY_HOME, _HOST, _PORT, _API_KEYS (comma-separated), _OFFLINE, and HF_HUB_OFFLINE."""
    home = Path(environ.get("SLIPWAY_HOME") or "~/.slipway").expanduser().absolute()
    keys = tuple(key.strip() for key in environ.get("SLIPWAY_API_KEYS", "").split(",") if key.strip())
    offline = any(environ.get(name, "").lower() in _TRUE for name in ("SLIPWAY_OFFLINE", "HF_HUB_OFFLINE"))
    host = environ.get("SLIPWAY_HOST") or DEFAULT_HOST
    return Settings(home, host, _port(environ.get("SLIPWAY_PORT")), keys, offline)


def _port(text: str | None) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise BadRequest(f"SLIPWAY_PORT is {text!r}: give a number from 1 to 65535")
    return int(text)


def default_endpoint(environ: Mapping[str, str] = os.environ) -> str:
    """The address clients ask when none is given: SLIPWAY_ENDPOINT, XINFERENCE_ENDPOINT or loopback's 9997."""
    given = environ.get("SLIPWAY_ENDPOINT") or environ.get("XINFERENCE_ENDPOINT")
    if given:
        return given.rstrip("/")
    settings = load_settings(environ)
    host = settings.host if settings.host not in {"0.0.0.0", "::", ""} else DEFAULT_HOST  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
