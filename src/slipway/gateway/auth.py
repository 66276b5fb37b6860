"""Who may ask: API keys when there are any, else only programs of this machine, never a web page from elsewhere."""

import hashlib
import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from slipway.errors import BadRequest, Forbidden, Unauthorized
from slipway.gateway.exchange import Header
from slipway.settings import Settings


class Gate:
    """Lets a request in by its headers, or raises Unauthorized or Forbidden."""

    def __init__(self, settings: Settings) -> None:
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in settings.api_keys)
        self._own_host = settings.host.lower()
        self._hosts = {f"{name}:{settings.port}".encode() for name in (settings.host, "127.0.0.1", "localhost")}

    @property
    def has_keys(self) -> bool:
        return bool(self._digests)

    def check(self, headers: Iterable[Header]) -> None:
        found = {name: value for name, value in headers if name in _LOOKED_AT}
        if self._digests:
            self._check_key(found.get(b"authorization", b""))
        else:
            self._check_browser(found)

    def _check_key(self, authorization: bytes) -> None:
        scheme, _, token = authorization.partition(b" ")
        digest = hashlib.sha256(token.strip()).digest()
        known = False
        for each in self._digests:  # all of them: the time taken must not tell which came close
            known |= hmac.compare_digest(digest, each)
        if not known or scheme.lower() != b"bearer":
            said = "this API key is not known" if token else "an API key is needed"
            raise Unauthorized(f"{said}: send the header `Authorization: Bearer <key>`", code="invalid_api_key")

    def _check_browser(self, headers: dict[bytes, bytes]) -> None:
        """A page that rebinds its name to this machine shows in Host; any other foreign page shows in Origin."""
        host = headers.get(b"host", b"")
        if host not in self._hosts and not self._is_here(_name_in(b"//" + host)):
            raise Forbidden("the Host header names another machine: ask for localhost, or set SLIPWAY_API_KEYS")
        origin = headers.get(b"origin")
        if origin is not None and not self._is_here(_name_in(origin)):
            raise Forbidden("web pages from other sites may not ask: set SLIPWAY_API_KEYS and send a key")

    def _is_here(self, name: str) -> bool:
        return bool(name) and (name == self._own_host or is_loopback(name))


_LOOKED_AT = frozenset({b"authorization", b"host", b"origin"})


def check_exposure(settings: Settings) -> None:
    """Raise BadRequest if other machines could reach a server that asks for no key."""
    if not settings.api_keys and not is_loopback(settings.host):
        raise BadRequest(
            f"refusing to listen on {settings.host} without API keys: other machines could use and stop your models; "
            "set SLIPWAY_API_KEYS to one or more keys, or listen on 127.0.0.1"
        )


def is_loopback(name: str) -> bool:
    """Whether a host name or address, without its port, is this machine seen from itself."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _name_in(url: bytes) -> str:
    try:
        return urlsplit(url.decode("ascii")).hostname or ""
    except ValueError:
        return ""
