"""What operators ask: health, metrics, logs of engines."""

import asyncio
import re
from pathlib import Path

import slipway
from slipway.control.reconcile import Status
from slipway.errors import BadRequest, NotFound
from slipway.gateway.control import Control
from slipway.gateway.exchange import TEXT, Exchange, Waits, parse_flag
from slipway.gateway.metrics import Metrics
from slipway.runtime.engine_log import read_tail

LINES_LIMIT = 100_000
FOLLOW_PERIOD_S = 0.25
_METRICS_TEXT = b"text/plain; version=1.0.0; charset=utf-8"
_CHUNK_BYTES = 256 * 1024


class Admin:
    def __init__(self, control: Control, metrics: Metrics, waits: Waits) -> None:
        self._control = control
        self._metrics = metrics
        self._waits = waits

    async def health(self, exchange: Exchange) -> None:
        await exchange.respond_json({"status": "ok", "version": slipway.__version__})

    async def metrics(self, exchange: Exchange) -> None:
        await exchange.respond(200, self._metrics.render(), _METRICS_TEXT)

    async def logs(self, exchange: Exchange, uid: str) -> None:
        """The end of a replica's log; with follow=true, what is added to it as long as the deployment exists."""
        query = exchange.query()
        lines = _lines(query.get("lines", "200"))
        follow = parse_flag("follow", query.get("follow", "false"))
        path = _log_of(self._control.status(uid), query.get("replica"))
        text, position = await asyncio.to_thread(read_tail, path, lines) if path else (b"", 0)
        if not follow:
            await exchange.respond(200, text, TEXT)
            return
        await exchange.body()
        exchange.leave_when_client_does()
        await exchange.begin(200, TEXT)
        await exchange.write(text)
        with self._waits.joined():
            await self._follow(exchange, uid, query.get("replica"), position)

    async def _follow(self, exchange: Exchange, uid: str, replica: str | None, position: int) -> None:
        path: Path | None = None
        while self._exists(uid):
            path = path or _log_of(self._control.status(uid), replica)
            text, position = await asyncio.to_thread(_added, path, position)
            if text:
                await exchange.write(text)
            else:
                await asyncio.sleep(FOLLOW_PERIOD_S)
        text, _ = await asyncio.to_thread(_added, path, position)
        await exchange.finish(text)

    def _exists(self, uid: str) -> bool:
        return any(status.deployment.uid == uid for status in self._control.statuses())


def _lines(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > LINES_LIMIT:
        raise BadRequest(f"lines is {text!r}: give a number up to {LINES_LIMIT}", param="lines")
    return int(text)


def _log_of(status: Status, replica: str | None) -> Path | None:
    """The log of the named replica, or of the first one; None if it has none yet."""
    if replica is None:
        return next((each.log_path for each in status.observations if each.log_path), None)
    names = [each.replica for each in status.observations]
    if replica not in names:
        raise NotFound(f"no replica named {replica!r}; there are: {', '.join(names) or 'none yet'}", param="replica")
    return status.observations[names.index(replica)].log_path


def _added(path: Path | None, position: int) -> tuple[bytes, int]:
    """What stands in a file after a position, a piece at most; from its start again if it has become shorter."""
    if path is None or not path.is_file():
        return b"", 0
    if path.stat().st_size < position:
        position = 0
    with path.open("rb") as file:
        file.seek(position)
        text = file.read(_CHUNK_BYTES)
    return text, position + len(text)
