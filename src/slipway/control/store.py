"""Where deployments are kept: memory now, a database behind the same face later. Only launch and terminate write it."""

from slipway.deployment import Deployment
from slipway.errors import Conflict, NotFound, nearest


class Store:
    """Deployments by uid, in the order they were asked for."""

    def __init__(self) -> None:
        self._deployments: dict[str, Deployment] = {}

    def add(self, deployment: Deployment) -> None:
        """Raises Conflict if the uid is taken."""
        if deployment.uid in self._deployments:
            raise taken(deployment.uid)
        self._deployments[deployment.uid] = deployment

    def remove(self, uid: str) -> None:
        self._deployments.pop(uid, None)

    def get(self, uid: str) -> Deployment:
        """Raises NotFound with the nearest uids."""
        found = self._deployments.get(uid)
        if found is None:
            raise NotFound(_unknown(uid, tuple(self._deployments)), code="model_not_found", param="model")
        return found

    def all(self) -> tuple[Deployment, ...]:
        return tuple(self._deployments.values())


def taken(uid: str) -> Conflict:
    return Conflict(
        f"a model is already launched as {uid!r}: choose another name with --model-uid, "
        f"or end that one with `slipway terminate --model-uid {uid}`",
        code="model_uid_taken",
        param="model_uid",
    )


def _unknown(uid: str, known: tuple[str, ...]) -> str:
    if not known:
        return f"no model is launched as {uid!r}, and no other either: launch one with `slipway launch`"
    close = nearest(uid, known)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    return f"no model is launched as {uid!r}; {hint}launched: {', '.join(known)}"
