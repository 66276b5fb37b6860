"""The launch API that Xinference's clients speak: /v1/models and what hangs below it.

A launch goes on when the client that asked for it leaves, as Xinference's does: terminate ends it.
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from slipway.control.reconcile import Status, replica_phase
from slipway.deployment import Failure, Observation, Phase
from slipway.gateway.auth import Gate
from slipway.gateway.control import Control
from slipway.gateway.exchange import Exchange, Waits, parse_flag
from slipway.parameters import request_from
from slipway.settings import Settings

_HTTP_PORT = 80
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


class LaunchApi:
    def __init__(self, control: Control, settings: Settings, gate: Gate, waits: Waits) -> None:
        self._control = control
        self._settings = settings
        self._gate = gate
        self._waits = waits

    async def cluster_auth(self, exchange: Exchange) -> None:
        """What Xinference's client asks first: whether it has to send a key."""
        await exchange.respond_json({"auth": self._gate.has_keys})

    async def list_models(self, exchange: Exchange) -> None:
        everything = parse_flag("all", exchange.query().get("all", "false"))
        found = [each for each in self._control.statuses() if everything or each.phase is Phase.READY]
        here = {"address": address_for(exchange, self._settings)}
        await exchange.respond_json({"object": "list", "data": [describe(each) | here for each in found]})

    async def get_model(self, exchange: Exchange, uid: str) -> None:
        here = {"address": address_for(exchange, self._settings)}
        await exchange.respond_json(describe(self._control.status(uid)) | here)

    async def launch(self, exchange: Exchange) -> None:
        """Answers when the model is ready, or at once with wait_ready=false in the query or the body.

        Ready is what answers: with one ready replica a model does, whatever its other replicas still do.
        """
        values = await exchange.json_object()
        wait = exchange.query().get("wait_ready", values.get("wait_ready"))
        waits = wait is None or parse_flag("wait_ready", wait)
        with self._waits.joined():
            deployment = await self._control.launch(request_from(values))
            if waits:
                await self._control.wait_ready(deployment.uid)
        await exchange.respond_json({"model_uid": deployment.uid})

    async def terminate(self, exchange: Exchange, uid: str) -> None:
        """Answers once the model's processes have ended."""
        await self._control.terminate(uid)
        await exchange.respond_json({"model_uid": uid})

    async def progress(self, exchange: Exchange, uid: str) -> None:
        await exchange.respond_json({"progress": _share_done(self._control.status(uid))})


def address_for(exchange: Exchange, settings: Settings) -> str:
    """``host:port`` of this gateway, for the client that asks: where it listens on every address, the one asked."""
    host, port = settings.host, settings.port
    if host in _WILDCARDS:
        host, port = _asked(exchange.header(b"host") or b"") or (_WILDCARDS[host], port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _asked(header: bytes) -> tuple[str, int] | None:
    """Name and port in a Host header; None where it has no readable name."""
    try:
        parts = urlsplit("//" + header.decode("ascii"))
        return (parts.hostname, parts.port or _HTTP_PORT) if parts.hostname else None
    except ValueError:
        return None


def describe(status: Status) -> dict[str, Any]:
    """A deployment for clients: OpenAI's fields, Xinference's, and ours. No secret and no engine's address."""
    deployment, plan = status.deployment, status.deployment.plan
    model, family = plan.model, plan.model.family
    size = model.spec.size
    return {
        "id": deployment.uid,
        "object": "model",
        "created": int(deployment.created_at),
        "owned_by": "slipway",
        "model_uid": deployment.uid,
        "model_type": "LLM",
        "accelerators": [str(index) for index in plan.placement.indexes],
        "model_name": family.name,
        "model_lang": list(family.languages),
        "model_ability": [str(ability) for ability in family.abilities],
        "model_description": family.description,
        "model_format": str(model.format),
        "model_size_in_billions": int(size) if size.isdigit() else size,
        "model_family": family.name,
        "quantization": model.quantization,
        "model_hub": str(model.location.hub),
        "revision": model.location.revision,
        "context_length": plan.demand.context_length,
        "replica": deployment.replicas,
        **_standing(status),
    }


def _standing(status: Status) -> dict[str, Any]:
    plan = status.deployment.plan
    return {
        "model_engine": plan.engine,
        "phase": str(status.phase),
        "phase_since": status.since,
        "parallel": plan.demand.parallel,
        "memory": {"terms": [asdict(term) for term in plan.memory.terms], "total_bytes": plan.memory.total_bytes},
        "progress": _progress(status),
        "installing": _installing(status),
        "failure": _failure(status.failure),
        "replicas": [_replica(each) for each in status.observations],
        "reasons": list(plan.reasons),
        "warnings": list(plan.warnings),
    }


def _progress(status: Status) -> dict[str, Any] | None:
    """Bytes fetched, their rate and the seconds left, while fetching: of replicas, which share it, the furthest."""
    if status.phase is not Phase.FETCHING or not status.observations:
        return None
    furthest = max(status.observations, key=lambda each: each.fetched_bytes)
    have, total, rate = furthest.fetched_bytes, furthest.fetch_total_bytes, furthest.fetch_bytes_per_s
    left_s = (total - have) / rate if total is not None and rate else None
    return {"fetched_bytes": have, "total_bytes": total, "bytes_per_s": rate, "seconds_left": left_s}


def _installing(status: Status) -> str | None:
    """What is done to make the engine's environment, while it is made."""
    if status.phase is not Phase.INSTALLING:
        return None
    return next((each.installing for each in status.observations if each.installing), None)


def _share_done(status: Status) -> float:
    """How far a launch has come, 0 to 1: fetching is taken for its first nine tenths."""
    if status.phase is Phase.READY:
        return 1.0
    if status.phase in {Phase.INSTALLING, Phase.STARTING}:
        return 0.9
    progress = _progress(status)
    if progress is None or not progress["total_bytes"]:
        return 0.0
    return float(0.9 * (progress["fetched_bytes"] or 0) / progress["total_bytes"])


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"cause": failure.cause, "log_tail": list(failure.log_tail), "exit_code": failure.exit_code}


def _replica(observation: Observation) -> dict[str, Any]:
    return {
        "replica": observation.replica,
        "phase": str(replica_phase(observation)),
        "pid": observation.pid,
        "restarts": observation.restarts,
        "cause": None if observation.failure is None else observation.failure.cause,
        "log": None if observation.log_path is None else str(observation.log_path),
    }
