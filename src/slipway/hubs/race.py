"""Which of several hubs answers first that it has a model's files: a small request to each, all at once."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.errors import BadModelFile, FetchFailed, SlipwayError
from slipway.hubs import huggingface, modelscope
from slipway.hubs.listing import Choose, chooser
from slipway.hubs.transfer import network_error
from slipway.types import Hub, Location

LIMIT_S = 10.0

_NAMES = {Hub.HUGGINGFACE: huggingface.names, Hub.MODELSCOPE: modelscope.names}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one hub said, and when: ``error`` is None where it has the files."""

    location: Location
    after_s: float
    error: SlipwayError | None = None


def race(
    places: Sequence[Location], choose: Callable[[Location], Choose] = chooser, limit_s: float = LIMIT_S
) -> tuple[Location, str]:
    """The first of ``places`` whose hub answers that it has the files, and why it was taken, in words.

    Blocks for ``limit_s`` at most. Raises FetchFailed with what each hub said where none has them.
    """
    network_error()  # what the client takes to be imported is no hub's time
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    for place in places:
        threading.Thread(target=_ask, args=(place, choose(place), answers), name="race", daemon=True).start()
    deadline_s = time.monotonic() + limit_s
    failed: list[Answer] = []
    while len(failed) < len(places):
        try:
            answer = answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        if answer.error is None:
            return answer.location, _why(answer, failed, places)
        failed.append(answer)
    raise _nobody(failed, places, limit_s)


def _ask(place: Location, choose: Choose, answers: "queue.SimpleQueue[Answer]") -> None:
    began_s = time.monotonic()
    error: SlipwayError | None = None
    try:
        choose(_NAMES[place.hub](place))
    except SlipwayError as refusal:
        error = refusal
    except Exception as unexpected:  # the thread's boundary: the race must end
        error = FetchFailed(f"{place.hub} could not be asked: {unexpected}")
    answers.put(Answer(place, time.monotonic() - began_s, error))


def _why(first: Answer, failed: Sequence[Answer], places: Sequence[Location]) -> str:
    others = [str(place.hub) for place in places if place is not first.location]
    told = {str(each.location.hub): each.error for each in failed}
    slower = [hub for hub in others if hub not in told]
    words = [f"{hub} did not have it ({_short(told[hub])})" for hub in others if hub in told]
    words += [f"before {', '.join(slower)}"] if slower else []
    return f"hub {first.location.hub}: the first to answer, after {first.after_s:.2f} s; " + "; ".join(words)


def _short(error: SlipwayError | None) -> str:
    codes = {"access_denied": "access refused", "not_on_hub": "not there", "hub_unreachable": "not reachable"}
    return codes.get(error.code or "", "no use") if error else ""


def _nobody(failed: Sequence[Answer], places: Sequence[Location], limit_s: float) -> SlipwayError:
    errors = [each.error for each in failed if each.error is not None]
    silent = [str(place.hub) for place in places if all(each.location is not place for each in failed)]
    said = [error.message for error in errors] + [f"{hub} did not answer in {limit_s:.0f} s" for hub in silent]
    kind = BadModelFile if errors and all(isinstance(each, BadModelFile) for each in errors) else FetchFailed
    codes = {each.code for each in errors}
    return kind("\n".join(dict.fromkeys(said)), code=codes.pop() if len(codes) == 1 else None)
