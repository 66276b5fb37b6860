"""The HTTP face: routes, the secret, errors as OpenAI's error object, answers whole or as server-sent events."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from slipway.engines.transformers_server.choices import Piece
from slipway.engines.transformers_server.events import dumps, error_event
from slipway.engines.transformers_server.metrics import Metrics
from slipway.engines.transformers_server.run import Failed, Feed, Run
from slipway.engines.transformers_server.service import Job, Service
from slipway.errors import BadRequest, MethodNotAllowed, NotFound, SlipwayError, TooLarge, Unauthorized

BODY_LIMIT_BYTES = 32 * 2**20
_IN_A_THREAD_BYTES = 64 * 2**10  # a larger body is read, rendered and tokenized beside the event loop
_MAY_COMPILE = re.compile(rb'"(?:response_format|structured_outputs|guided_\w+|tools)"')  # so is one with a grammar
_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Prepare = Callable[[bytes], Job]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Face:
    """The handlers, and what they share."""

    service: Service
    feed: Feed
    metrics: Metrics
    started: int

    async def chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self.service.chat)

    async def completion(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self.service.completion)

    async def health(self, request: web.Request) -> web.StreamResponse:
        return _json('{"status":"ok"}')

    async def models(self, request: web.Request) -> web.StreamResponse:
        return _json(dumps({"object": "list", "data": [self._model()]}))

    async def model(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["model"] != self.service.alias:
            raise NotFound("no such model", code="model_not_found")
        return _json(dumps(self._model()))

    async def show_metrics(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.metrics.as_text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    def _model(self) -> dict[str, object]:
        length = self.service.generator.context_length
        return {"id": self.service.alias, "object": "model", "created": self.started, "owned_by": "slipway",
                "max_model_len": length}  # fmt: skip

    async def _answer(self, request: web.Request, prepare: Prepare) -> web.StreamResponse:
        data = await request.read()
        beside = len(data) > _IN_A_THREAD_BYTES or _MAY_COMPILE.search(data) is not None
        job = await asyncio.to_thread(prepare, data) if beside else prepare(data)
        run = Run(job.choices, job.form, self.service.generator)
        with self.metrics.running(job.prompt_tokens, run):
            if not job.asked[0].sampling.max_tokens:
                return await self._nothing(request, job)
            async with self.feed.running(job.asked, run):
                return await (_stream(request, run) if job.stream else _whole(run))

    async def _nothing(self, request: web.Request, job: Job) -> web.StreamResponse:
        """No tokens are wished for: only the echo."""
        data = b""
        for choice in job.choices:
            choice.finish = "length"
            data += job.form.take(choice, Piece("", finish="length"))
        data += job.form.end(job.choices)
        kind = _STREAM["Content-Type"] if job.stream else "application/json"
        return web.Response(body=data, headers={"Content-Type": kind})


FACE = web.AppKey("face", Face)


async def _whole(run: Run) -> web.Response:
    while not run.finished:
        await run.next()
    return web.Response(body=run.end(), headers={"Content-Type": "application/json"})


async def _stream(request: web.Request, run: Run) -> web.StreamResponse:
    """The head is sent with the first chunk, so that a failure before it is still a status."""
    data = await run.next()
    response = web.StreamResponse(headers=_STREAM)
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        while not run.finished:
            await response.write(data)
            data = await run.next()
        data += run.end()
    except Failed as failure:
        log.error("an answer failed midway: %s", failure.cause)
        data = error_event(failure)
    await response.write(data)
    await response.write_eof()
    return response


def make_app(service: Service, secret: str, loop: asyncio.AbstractEventLoop) -> web.Application:
    """The application; run it with handler_cancellation, so that a client that leaves ends its sequences."""
    face = Face(service, Feed(service.generator, loop), Metrics(), int(time.time()))
    app = web.Application(middlewares=[_guard(secret)], client_max_size=BODY_LIMIT_BYTES)
    app[FACE] = face
    app.add_routes(
        [
            web.post("/v1/chat/completions", face.chat),
            web.post("/v1/completions", face.completion),
            web.get("/health", face.health),
            web.get("/v1/models", face.models),
            web.get("/v1/models/{model:.+}", face.model),
            web.get("/metrics", face.show_metrics),
        ]
    )
    return app


def _guard(secret: str) -> Middleware:
    wanted = f"Bearer {secret}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, wanted):
                raise Unauthorized("the engine answers the gateway only: wrong or missing secret")
            return await handler(request)
        except SlipwayError as error:
            if isinstance(error, Failed):
                log.error("an answer failed: %s", error.cause)
            return _error(error)
        except web.HTTPException as error:
            return _error(_translated(request, error))
        except ConnectionError:
            raise  # the client has left
        except Exception:
            log.exception("a request failed")
            return _error(SlipwayError("the server failed; its log has the cause"))

    return guard


def _translated(request: web.Request, error: web.HTTPException) -> SlipwayError:
    """aiohttp's own errors are plain text."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(error.method, request.path, sorted(error.allowed_methods))
    if error.status == HTTPStatus.NOT_FOUND:
        return NotFound(f"there is no {request.path[:200]} here", code="unknown_path")
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(f"the body is larger than {BODY_LIMIT_BYTES // 2**20} MiB: send a smaller one")
    return BadRequest(f"the request cannot be read: {error.reason}")


def _error(error: SlipwayError) -> web.Response:
    return _json(dumps(error.as_object()), error.http_status)


def _json(text: str, status: int = 200) -> web.Response:
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": "application/json"})
