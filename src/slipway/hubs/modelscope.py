"""ModelScope through its HTTP API (docs/decisions/0003-modelscope-http.md). The bytes are moved by `transfer`."""

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

from slipway.errors import FetchFailed
from slipway.hubs.listing import Choose, Listing, Origin, RemoteFile, address
from slipway.hubs.modelscope_login import modelscope_token
from slipway.hubs.refusal import host_of, refused, unreachable
from slipway.hubs.transfer import get_text
from slipway.types import Hub, Location

_DEFAULT_ENDPOINT = "https://www.modelscope.cn"
_DEFAULT_REVISION = "master"


def listing(location: Location, choose: Choose) -> Listing:
    """List the chosen files of a repository. Raises FetchFailed: unreachable, refused, unknown."""
    origin, headers = _origin(location)
    revision = location.revision or _DEFAULT_REVISION
    base = _base(origin)
    entries = _entries(origin, _listing_url(location, origin), headers)
    files = []
    for name in choose(list(entries)):
        url = f"{base}?{urlencode({'Revision': revision, 'FilePath': name})}"
        size, sha256 = entries[name].get("Size"), entries[name].get("Sha256")
        if not isinstance(size, int):
            raise FetchFailed(f"{origin.hub_name} does not say how large {name} of {origin.repository} is")
        digest = f"sha256:{sha256.lower()}" if isinstance(sha256, str) and sha256 else None
        files.append(RemoteFile(name, size, digest, url, headers))
    return Listing(origin, None, tuple(files))


def names(location: Location) -> list[str]:
    """The names of a repository's files. Raises FetchFailed."""
    origin, headers = _origin(location)
    return list(_entries(origin, _listing_url(location, origin), headers))


def _origin(location: Location) -> tuple[Origin, dict[str, str]]:
    """Whom to ask, and the headers of the requests."""
    token = modelscope_token()
    headers = {"User-Agent": "slipway", **({"Cookie": f"m_session_id={token}"} if token else {})}
    return Origin(Hub.MODELSCOPE, endpoint(), location.repository, with_token=bool(token)), headers


def _base(origin: Origin) -> str:
    return f"{origin.endpoint}/api/v1/models/{quote(origin.repository)}/repo"


def _listing_url(location: Location, origin: Origin) -> str:
    query = urlencode({"Revision": location.revision or _DEFAULT_REVISION, "Recursive": "true"})
    return f"{_base(origin)}/files?{query}"


def endpoint() -> str:
    """MODELSCOPE_ENDPOINT (an address), or MODELSCOPE_DOMAIN (a host), or the public hub."""
    variable = next((name for name in ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN") if os.environ.get(name)), "")
    given = os.environ.get(variable, _DEFAULT_ENDPOINT)
    return address(given if "://" in given else f"https://{given}", variable)


def _entries(origin: Origin, url: str, headers: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The repository's files by path."""
    try:
        status, text, answered = get_text(url, headers)
    except OSError as error:
        raise unreachable(origin, error) from None
    if status != 200:
        raise refused(origin, status, headers=answered)
    try:
        read = json.loads(text)
        files = read["Data"]["Files"]
        return {each["Path"]: each for each in files if each["Type"] == "blob" and isinstance(each["Path"], str)}
    except (ValueError, TypeError, KeyError):
        raise FetchFailed(
            f"{host_of(origin.endpoint)} did not answer like {origin.hub_name} when asked for {origin.repository}: "
            "check MODELSCOPE_ENDPOINT"
        ) from None
