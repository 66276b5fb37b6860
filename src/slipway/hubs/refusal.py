"""Why a hub did not give a file, in words, with what to do about it. Never a token, never a signed address."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from slipway.errors import FetchFailed
from slipway.hubs.listing import Origin
from slipway.types import Hub

_TOKENS = {Hub.HUGGINGFACE: "HF_TOKEN", Hub.MODELSCOPE: "MODELSCOPE_API_TOKEN"}
_ENDPOINTS = {Hub.HUGGINGFACE: "HF_ENDPOINT", Hub.MODELSCOPE: "MODELSCOPE_ENDPOINT"}
_PAGES = {Hub.HUGGINGFACE: "https://huggingface.co/{}", Hub.MODELSCOPE: "https://modelscope.cn/models/{}"}


class Busy(FetchFailed):
    """The hub wants fewer requests; ``wait_s``: seconds it asks to wait, where it says."""

    def __init__(self, message: str, wait_s: float | None) -> None:
        super().__init__(message, code="too_many_requests")
        self.wait_s = wait_s


def host_of(endpoint: str) -> str:
    """Scheme, host and port of an address, without a name and password written into it."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def refused(
    origin: Origin, status: int, file: str | None = None, headers: Mapping[str, str] | None = None
) -> FetchFailed:
    """The error for an HTTP status other than success, and the headers of that answer."""
    what = f"{origin.repository}" + (f" ({file})" if file else "")
    if status in {401, 403}:
        gated = (headers or {}).get("X-Error-Code") == "GatedRepo"
        access = _access(origin, gated=gated)
        return FetchFailed(f"{origin.hub_name} refuses {what} ({status}): {access}", code="access_denied")
    if status == 429:
        return _busy(origin, what, retry_after_s(headers or {}))
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


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds a Retry-After header asks for, written as a number or as a date; None where it says nothing."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _busy(origin: Origin, what: str, wait_s: float | None) -> Busy:
    when = "later" if wait_s is None else f"in {wait_s:.0f} s, as it asks"
    more = "" if origin.with_token else f" (it allows more to who sends a token: set {_TOKENS[origin.hub]})"
    return Busy(
        f"{origin.hub_name} answered 429, too many requests, for {what}: try again {when}{more}, or use the other hub "
        "with --download-hub; what was fetched is kept",
        wait_s,
    )


def _access(origin: Origin, *, gated: bool) -> str:
    token = _TOKENS[origin.hub]
    page = _PAGES[origin.hub].format(origin.repository)
    if origin.with_token:
        return (
            f"the account of your token has no access; ask for it at {page}, or set {token} to another account's token"
        )
    why = "it is gated; accept its terms, or" if gated else "it is gated, private or not there;"
    login = ", or log in with `hf auth login`" if origin.hub is Hub.HUGGINGFACE else ""
    return f"{why} ask for access at {page}, then set {token} to a token of your account{login}"
