"""What the hubs are asked before a launch is planned: what a named repository is, and which hub answers first.

The plan after it is pure: what was seen goes into the request. Blocks: run it in a thread.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

from slipway.catalogue.repository import Repository, family_of
from slipway.catalogue.resolve import is_repository, location
from slipway.control.planner import load_context, plan
from slipway.errors import SlipwayError, UnknownName
from slipway.hubs.cache import is_cached
from slipway.hubs.download import is_offline
from slipway.hubs.preview import Preview, is_known, is_known_whole, preview, preview_names, told
from slipway.hubs.race import race
from slipway.parameters import LaunchRequest, Seen
from slipway.settings import Settings
from slipway.types import Family, Hub, Location, Model

_HUBS = (Hub.HUGGINGFACE, Hub.MODELSCOPE)


def look(request: LaunchRequest, settings: Settings, *, racing: bool = True) -> LaunchRequest:
    """The request with what the hubs said of it. Asks nobody about a model that is here or a hub that was chosen.

    Without ``racing``, as for a dry run, only a repository that is in no catalogue is asked for. Raises FetchFailed
    (at once in offline mode, for what is not here), BadModelFile, UnknownName.
    """
    if not request.model_path and is_repository(request.model_name):
        request = replace(request, seen=Seen(*look_at(request.model_name, request.download_hub, settings)))
    return _with_hub(request, settings) if racing else request


def look_at(repository: str, hub: str | None, settings: Settings) -> tuple[Family, Hub, tuple[str, ...]]:
    """What a repository is by its own files, on the hub named or else the first that answers; and why there."""
    places = [Location(each, repository) for each in _hubs(hub)]
    place, why = _place(places, settings)
    seen = preview(place, settings.models, settings.offline, threading.Event())
    family = family_told(seen)
    how = "looked at on the hub" if seen.asked else "as it was last looked at; no hub was asked"
    reasons = (f"{repository}: detected from its own files, {how}", *((why,) if why else ()))
    return family, place.hub, reasons


def family_told(seen: Preview) -> Family:
    """The family of a repository that was looked at. Raises BadModelFile naming the repository."""
    place = seen.location
    with told(seen.root, place):
        return family_of(Repository(place.hub, place.repository, place.revision, seen.root, seen.sizes))


def _hubs(named: str | None) -> tuple[Hub, ...]:
    if named is None:
        return _HUBS
    if named.casefold() not in _HUBS:
        raise UnknownName("hub", named, _HUBS)
    return (Hub(named.casefold()),)


def _place(places: Sequence[Location], settings: Settings) -> tuple[Location, str | None]:
    """Where a repository is looked at: where it is here already, where it was asked for, or where it answers first."""
    here = [place for place in places if is_known_whole(place, settings.models)]
    if here or len(places) == 1 or settings.offline:
        known = [place for place in places if is_known(place, settings.models)]
        return (here or known or places)[0], None
    return race(places, lambda _: preview_names)


def _with_hub(request: LaunchRequest, settings: Settings) -> LaunchRequest:
    """The request with the hub that answers first, where it leaves the hub open and nothing is here yet."""
    try:
        model = plan(request, load_context(settings)).model
    except SlipwayError:
        return request  # the plan that follows says why
    if model.location.hub is Hub.LOCAL or is_cached(model.location, settings.models):
        return request
    if settings.offline:
        raise is_offline(model.location)
    places = _places(model, settings)
    if request.download_hub or request.seen.hub or len(places) < 2:
        return request
    try:
        first, why = race(places)
    except SlipwayError:
        return request  # the fetch, from the hub that comes first, tells what is wrong
    return replace(request, seen=replace(request.seen, hub=first.hub, reasons=(*request.seen.reasons, why)))


def _places(model: Model, settings: Settings) -> list[Location]:
    sources = [source for source in model.spec.sources if model.quantization in source.quantizations]
    return [location(source, model.quantization, settings.models) for source in sources]
