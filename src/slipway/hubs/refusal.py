"""Why a hub did not give a file, in words, with what to do about it. Never a token, never a signed address."""

import re
from urllib.parse import urlsplit

from slipway.errors import FetchFailed
from slipway.hubs.listing import Origin
from slipway.types import Hub

_TOKENS = {Hub.HUGGINGFACE: "HF_TOKEN", Hub.MODELSCOPE: "MODELSCOPE_API_TOKEN"}
_ENDPOINTS = {Hub.HUGGINGFACE: "HF_ENDPOINT", Hub.MODELSCOPE: "MODELSCOPE_ENDPOINT"}
_PAGES = {Hub.HUGGINGFACE: "https://huggingface.co/{}", Hub.MODELSCOPE: "https://modelscope.cn/models/{}"}


def host_of(endpoint: str) -> str:
    """Scheme, host and port of an address, without a name and password written into it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def refused(origin: Origin, status: int, file: str | None = None) -> FetchFailed:
    """The error for an HTTP status other than success."""
    what = f"{origin.repository}" + (f" ({file})" if file else "")
    if status in {401, 403}:
        return FetchFailed(f"{origin.hub_name} refuses {what} ({status}): {_access(origin)}", code="access_denied")
    if status == 404:
        return FetchFailed(
            f"{origin.hub_name} has no {what}: check the name and the revision, or fetch from the other hub with "
            "--download-hub",
            code="not_on_hub",
        )
    return FetchFailed(f"{origin.hub_name} answered {status} for {what}: try again later, or use --download-hub")


def unreachable(origin: Origin, error: BaseException) -> FetchFailed:
    """The error for a hub that cannot be reached, or stopped answering."""
    words = re.sub(r"\[Errno -?\d+\] ", "", str(error)).split("http", 1)[0].strip(" :(") or type(error).__name__
    return FetchFailed(
        f"cannot fetch {origin.repository} from {origin.hub_name} at {host_of(origin.endpoint)}: {words}. Check the "
        f"network and try again (what was fetched is kept), set {_ENDPOINTS[origin.hub]} to a mirror, use the other "
        "hub with --download-hub, or give --model-path",
        code="hub_unreachable",
    )


def _access(origin: Origin) -> str:
    token = _TOKENS[origin.hub]
    page = _PAGES[origin.hub].format(origin.repository)
    if origin.with_token:
        return (
            f"the account of your token has no access; ask for it at {page}, or set {token} to another account's token"
        )
    return f"it is gated, private or not there; ask for access at {page}, then set {token} to a token of your account"
