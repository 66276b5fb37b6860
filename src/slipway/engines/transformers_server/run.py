"""A request on its way: the generator's thread brings progress, the event loop turns it into bytes to send.

However many sequences a step of the generator advances, the event loop is woken once, and each sequence's progress is
turned into its chunk right there. A request's own task only wakes to write.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from slipway.engines.transformers_server.choices import Choice, GenerationFailed, Piece
from slipway.engines.transformers_server.words import Asked, Generator, Progress
from slipway.errors import BadRequest, SlipwayError

log = logging.getLogger(__name__)


class Form(Protocol):
    """The shape of an answer: chat or completion, whole or streamed."""

    def take(self, choice: Choice, piece: Piece) -> bytes:
        """What to send now. May set the choice's ``finish``: it is not generated further."""

    def end(self, choices: Sequence[Choice]) -> bytes:
        """What to send once every choice is finished."""


class Run:
    """All sequences of one request. Used on the event loop only."""

    def __init__(self, choices: Sequence[Choice], form: Form, generator: Generator) -> None:
        self.choices = choices
        self.error: str | None = None
        self._form = form
        self._generator = generator
        self._numbers: list[int | None] = [None] * len(choices)
        self._unfinished = len(choices)
        self._ready: list[bytes] = []
        self._wake: asyncio.Future[None] | None = None

    def began(self, index: int, number: int) -> None:
        self._numbers[index] = number
        if self.error is not None or self.choices[index].finish is not None:
            self._generator.cancel(number)

    def take(self, index: int, progress: Progress) -> None:
        choice = self.choices[index]
        if choice.finish is not None or self.error is not None:
            return
        try:
            data = self._form.take(choice, choice.take(progress))
        except GenerationFailed as failure:
            self._fail(str(failure))
            return
        except Exception:
            log.exception("a step of an answer could not be written")
            self._fail("the answer could not be written")
            return
        if choice.finish is not None:
            self._unfinished -= 1
            if progress.ending is None:
                self._cancel(index)
        if data:
            self._ready.append(data)
        if data or not self._unfinished:
            self._wake_up()

    async def next(self) -> bytes:
        """Bytes that are ready, waiting for them; the last are ``end``'s, then come none. Raises EngineFailed."""
        while not self._ready and self._unfinished and self.error is None:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data = b"".join(self._ready)
        self._ready.clear()
        if self.error is not None and not data:
            raise Failed(self.error)
        return data

    def end(self) -> bytes:
        return self._form.end(self.choices)

    @property
    def finished(self) -> bool:
        return not self._unfinished

    def cancel(self) -> None:
        """End what is still generated: the client has left, or another choice failed."""
        for index, choice in enumerate(self.choices):
            if choice.finish is None:
                self._cancel(index)
                choice.finish = "cancelled"

    def _cancel(self, index: int) -> None:
        number = self._numbers[index]
        if number is not None:
            self._generator.cancel(number)

    def _fail(self, error: str) -> None:
        self.error = error
        self.cancel()
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Failed(SlipwayError):
    """Generation failed midway; the cause is in the log."""

    def __init__(self, cause: str) -> None:
        super().__init__("the model failed while answering; the server's log has the cause", code="generation_failed")
        self.cause = cause


class Feed:
    """Between the generator's thread and the event loop."""

    def __init__(self, generator: Generator, loop: asyncio.AbstractEventLoop) -> None:
        self.generator = generator
        self.wakes = 0
        self._loop = loop
        self._arrived: deque[tuple[Run, int, Progress]] = deque()
        self._woken = False

    @asynccontextmanager
    async def running(self, asked: Sequence[Asked], run: Run) -> AsyncIterator[Run]:
        """Submit all sequences; whatever ends the block ends those still running. Raises BadRequest."""
        try:
            for index, each in enumerate(asked):
                await self._submit(each, run, index)
            yield run
        finally:
            run.cancel()

    async def _submit(self, asked: Asked, run: Run, index: int) -> None:
        emit = partial(self._emit, run, index)
        try:
            if asked.sampling.grammar is None:
                run.began(index, self.generator.submit(asked, emit))
                return
            # A grammar is compiled first. If the client leaves meanwhile, the sequence is cancelled once it has begun.
            future = self._loop.run_in_executor(None, self.generator.submit, asked, emit)
            future.add_done_callback(lambda done: None if _failed(done) else run.began(index, done.result()))
            await asyncio.shield(future)
        except ValueError as error:
            raise BadRequest(str(error), code="invalid_value") from None

    def _emit(self, run: Run, index: int, progress: Progress) -> None:
        """On the generator's thread. Whoever finds the loop not yet woken wakes it."""
        self._arrived.append((run, index, progress))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                log.debug("the event loop is closed; nobody waits for this step")

    def _deliver(self) -> None:
        self._woken = False  # before reading: what arrives from here on wakes again
        self.wakes += 1
        while self._arrived:
            run, index, progress = self._arrived.popleft()
            run.take(index, progress)


def _failed(done: "asyncio.Future[int]") -> bool:
    return done.cancelled() or done.exception() is not None
