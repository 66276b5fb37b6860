"""Hugging Face through its own client: listing, tokens, mirrors (HF_ENDPOINT). The bytes are moved by `transfer`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from slipway.errors import FetchFailed
from slipway.hubs.listing import Choose, Listing, Origin, RemoteFile, address
from slipway.hubs.refusal import host_of, refused, unreachable
from slipway.hubs.transfer import network_error
from slipway.types import Hub, Location

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

_DEFAULT_ENDPOINT = "https://huggingface.co"
_TIMEOUT_S = 10.0


def listing(location: Location, choose: Choose) -> Listing:
    """List the chosen files of a repository, pinned to the commit the revision stands for now.

    Raises FetchFailed: unreachable, gated, unknown.
    """
    origin, headers = _origin(location)
    with _told(origin):
        info = _info(location, origin, with_sizes=True)
        siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
        files = [_file(origin, info.sha, siblings[name], headers) for name in choose(list(siblings))]
    return Listing(origin, info.sha, tuple(files))


def names(location: Location) -> list[str]:
    """The names of a repository's files, by a small request. Raises FetchFailed."""
    origin, _ = _origin(location)
    with _told(origin):
        return [sibling.rfilename for sibling in _info(location, origin, with_sizes=False).siblings or []]


def _origin(location: Location) -> tuple[Origin, dict[str, str]]:
    """Whom to ask, and the headers of the requests for its files."""
    from huggingface_hub import get_token

    endpoint = address(os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT, "HF_ENDPOINT")
    token = get_token()
    headers = {"User-Agent": "slipway", **({"Authorization": f"Bearer {token}"} if token else {})}
    return Origin(Hub.HUGGINGFACE, endpoint, location.repository, with_token=token is not None), headers


def _info(location: Location, origin: Origin, *, with_sizes: bool) -> "ModelInfo":
    from huggingface_hub import HfApi

    return HfApi(endpoint=origin.endpoint).model_info(
        location.repository, revision=location.revision, files_metadata=with_sizes, timeout=_TIMEOUT_S
    )


@contextmanager
def _told(origin: Origin) -> Iterator[None]:
    """The client's errors as FetchFailed."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        raise refused(origin, error.response.status_code, headers=error.response.headers) from None
    except (network_error(), OSError, OfflineModeIsEnabled) as error:
        raise unreachable(origin, error) from None
    except (ValueError, TypeError, KeyError, AttributeError):  # what the client makes of an answer that is no listing
        raise FetchFailed(
            f"{host_of(origin.endpoint)} did not answer like {origin.hub_name} when asked for {origin.repository}: "
            "check HF_ENDPOINT"
        ) from None


def _file(origin: Origin, commit: str | None, sibling: "RepoSibling", headers: dict[str, str]) -> RemoteFile:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(origin.repository, sibling.rfilename, revision=commit, endpoint=origin.endpoint)
    size, digest = sibling.size, _digest(sibling)
    if size is None or digest is None:  # a mirror that lists names only
        metadata = get_hf_file_metadata(url, timeout=_TIMEOUT_S, endpoint=origin.endpoint)
        size, digest = metadata.size, _digest_of_etag(metadata.etag)
    if size is None:
        raise FetchFailed(f"{origin.hub_name} does not say how large {sibling.rfilename} of {origin.repository} is")
    return RemoteFile(sibling.rfilename, size, digest, url, headers)


def _digest(sibling: "RepoSibling") -> str | None:
    if sibling.lfs is not None:
        return f"sha256:{sibling.lfs.sha256}"
    return f"git:{sibling.blob_id}" if sibling.blob_id else None


def _digest_of_etag(etag: str | None) -> str | None:
    kinds = {64: "sha256", 40: "git"}
    return f"{kinds[len(etag)]}:{etag}" if etag and len(etag) in kinds else None
