"""Hugging Face through its own client: listing, tokens, mirrors (HF_ENDPOINT). The bytes are moved by `transfer`."""

import os
from typing import TYPE_CHECKING

from slipway.errors import FetchFailed
from slipway.hubs.listing import Choose, Listing, Origin, RemoteFile, address
from slipway.hubs.refusal import host_of, refused, unreachable
from slipway.hubs.transfer import network_error
from slipway.types import Hub, Location

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

_DEFAULT_ENDPOINT = "https://huggingface.co"
_TIMEOUT_S = 10.0


def listing(location: Location, choose: Choose) -> Listing:
    """List the chosen files of a repository, pinned to the commit the revision stands for now.

    Raises FetchFailed: unreachable, gated, unknown.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    endpoint = address(os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT, "HF_ENDPOINT")
    token = get_token()
    headers = {"User-Agent": "slipway", **({"Authorization": f"Bearer {token}"} if token else {})}
    origin = Origin(Hub.HUGGINGFACE, endpoint, location.repository, with_token=token is not None)
    try:
        info = HfApi(endpoint=endpoint).model_info(
            location.repository, revision=location.revision, files_metadata=True, timeout=_TIMEOUT_S
        )
        siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
        files = [_file(origin, info.sha, siblings[name], headers) for name in choose(list(siblings))]
    except HfHubHTTPError as error:
        raise refused(origin, error.response.status_code) from None
    except (network_error(), OSError, OfflineModeIsEnabled) as error:
        raise unreachable(origin, error) from None
    except (ValueError, TypeError, KeyError, AttributeError):  # what the client makes of an answer that is no listing
        raise FetchFailed(
            f"{host_of(endpoint)} did not answer like {origin.hub_name} when asked for {location.repository}: check "
            "HF_ENDPOINT"
        ) from None
    return Listing(origin, info.sha, tuple(files))


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
