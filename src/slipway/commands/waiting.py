"""Waiting for a launch to end: asks for it, polls the server, shows the phases, and cancels it at a second Ctrl-C."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from slipway.client import RemoteModel
from slipway.commands.interrupts import CANCEL, FORCE, Interrupts
from slipway.deployment import Phase
from slipway.errors import Cancelled, EngineFailed, EnvironmentFailed, FetchFailed, NotFound, SlipwayError

_EAGER_S = 2.0  # small models are ready within it: poll often
_POLL_S = (0.04, 0.25)
_TAIL_LINES = 15
_PLANNING_S = 15.0  # how long a cancel waits for a launch to get its uid
_FORCED_S = 2.0  # how long a forced end waits for the server's answer


class Launches(Protocol):
    """What waiting needs of a client."""

    def launch(self, body: Mapping[str, Any]) -> str: ...
    def model(self, uid: str) -> RemoteModel: ...
    def terminate(self, uid: str) -> None: ...


class Screen(Protocol):
    """What waiting needs of a display."""

    def show(self, model: RemoteModel, now_s: float) -> None: ...
    def clear(self) -> None: ...


def start(client: Launches, body: Mapping[str, Any], interrupts: Interrupts) -> str:
    """Ask for a launch and return its uid. Raises Cancelled, or what the client raises.

    The server may still be planning when the user gives up: it goes on, and only an answer tells that the uid is ours.
    """
    asked = interrupts.begin(lambda: client.launch(body))
    if interrupts.wait(asked, presses=CANCEL):
        return asked.result()
    interrupts.say("Cancelling…")
    if interrupts.wait(asked, presses=FORCE, seconds=_PLANNING_S):
        raise _cancelled(client, asked.result(), interrupts)
    name = body.get("model_uid") or body.get("model_name") or "UID"
    raise Cancelled(
        f"the server is still planning the launch and may go on with it: `slipway list` shows whether it does, "
        f"`slipway terminate {name}` ends it then"
    )


def answers(model: RemoteModel) -> bool:
    """Whether requests to it are answered: one ready replica is enough."""
    return model.phase is Phase.READY


def settled(model: RemoteModel) -> bool:
    """Whether it answers and nothing more is under way: each replica is ready or has failed."""
    over = [each.phase in {Phase.READY, Phase.FAILED} for each in model.members]
    return answers(model) and all(over) and (not over or len(over) >= model.replicas)


def wait_ready(
    client: Launches,
    uid: str,
    screen: Screen,
    interrupts: Interrupts,
    until: Callable[[RemoteModel], bool] = answers,
    *,
    owned: bool = True,
) -> RemoteModel:
    """Return the model once it is ready. Raises EngineFailed, FetchFailed, EnvironmentFailed, Cancelled, or the
    client's errors.

    A launch that is not ``owned``, because somebody else asked for it, is left alone when the user stops waiting.
    """
    began_s, phase = time.monotonic(), Phase.PENDING
    try:
        while (model := _polled(client, uid, interrupts)) is not None:
            if until(model):
                return model
            if model.phase is Phase.FAILED:
                raise failure_of(model, phase)
            phase, now_s = model.phase, time.monotonic()
            screen.show(model, now_s)
            interrupts.wait(presses=CANCEL, seconds=_POLL_S[now_s - began_s > _EAGER_S])
    finally:
        screen.clear()
    if not owned:
        raise Cancelled(f"{uid} was launched by another command and goes on launching")
    interrupts.say("Cancelling…")
    raise _cancelled(client, uid, interrupts)


_KINDS = {Phase.FETCHING: FetchFailed, Phase.INSTALLING: EnvironmentFailed}


def failure_of(model: RemoteModel, during: Phase = Phase.STARTING) -> SlipwayError:
    """The error of a model that failed in a phase: the cause, the last lines of its log, and where the rest is."""
    lines = [f"{model.uid} failed: {model.cause or 'its engine ended and did not say why'}"]
    if model.log_tail:
        lines += ["the last lines of its log:", *(f"  | {line}" for line in model.log_tail[-_TAIL_LINES:])]
        lines.append(f"the whole log: `slipway logs {model.uid}`")
    return _KINDS.get(during, EngineFailed)("\n".join(lines))


def _polled(client: Launches, uid: str, interrupts: Interrupts) -> RemoteModel | None:
    """The model as it stands; None once the user wants it cancelled."""
    if interrupts.count >= CANCEL:
        return None
    seen = interrupts.begin(lambda: _seen(client, uid))
    return seen.result() if interrupts.wait(seen, presses=CANCEL) else None


def _seen(client: Launches, uid: str) -> RemoteModel:
    try:
        return client.model(uid)
    except NotFound:
        raise NotFound(f"{uid} is gone from the server: it was terminated while it was launching") from None


def _cancelled(client: Launches, uid: str, interrupts: Interrupts) -> Cancelled:
    """Terminate it; the error that says so. One more press stops waiting for the end, not the end itself."""
    ending = interrupts.begin(lambda: _terminate(client, uid))
    if interrupts.wait(ending, presses=FORCE) or interrupts.wait(ending, seconds=_FORCED_S):
        ending.result()
        return Cancelled(f"the launch of {uid} is cancelled")
    return Cancelled(
        f"the server was told to cancel the launch of {uid} and is still ending it: `slipway list` shows whether it "
        f"is gone, `slipway terminate {uid}` waits for it"
    )


def _terminate(client: Launches, uid: str) -> None:
    with suppress(NotFound):  # it ended by itself meanwhile
        client.terminate(uid)
