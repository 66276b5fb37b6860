"""Generates many sequences at once, on a thread of its own: the loop around schedule, model and sampling."""

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

import torch

from slipway.engines.transformers_server.arguments import Arguments
from slipway.engines.transformers_server.forward import Forward, prepare_library
from slipway.engines.transformers_server.layout import Layout, lay_out
from slipway.engines.transformers_server.loading import Loaded, load
from slipway.engines.transformers_server.matching import Grammars, Matcher
from slipway.engines.transformers_server.sampling import Choosing, choose
from slipway.engines.transformers_server.schedule import Running, Schedule
from slipway.engines.transformers_server.slots import Slots
from slipway.engines.transformers_server.words import Asked, Emit, Ending, Progress, Token

log = logging.getLogger(__name__)


class Model(Protocol):
    """What the loop needs of the model: ``forward.Forward``."""

    @property
    def capacity(self) -> int: ...

    @property
    def spare_tokens(self) -> int: ...

    def copy(self, source: int, target: int, tokens: int) -> None: ...

    def run(self, layout: Layout) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """In tokens, but ``parallel``: sequences at once."""

    context_length: int
    parallel: int
    step_tokens: int
    vocabulary: int
    ends: frozenset[int]


@dataclass(slots=True, eq=False)
class Work:
    """A sequence on its way. ``tokens``: prompt and answer."""

    number: int
    asked: Asked
    emit: Emit
    tokens: list[int]
    choosing: Choosing
    begun: bool = False

    @property
    def made(self) -> int:
        return len(self.tokens) - len(self.asked.prompt)


@dataclass(frozen=True, slots=True)
class _Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class _Close:
    pass


def open_generator(arguments: Arguments) -> "BatchGenerator":
    """Load the checkpoint and start the thread. Raises SystemExit in words if it cannot be served."""
    attention = prepare_library()
    loaded = load(arguments)
    forward = Forward(loaded.model, attention, arguments.parallel, arguments.context_length)
    forward.warm_up()
    grammars = Grammars(arguments.model, loaded.vocabulary, loaded.ends)
    return BatchGenerator(forward, limits(arguments, loaded), grammars.matcher)


def limits(arguments: Arguments, loaded: Loaded) -> Limits:
    return Limits(
        arguments.context_length,
        arguments.parallel,
        max(arguments.max_batch_tokens, arguments.parallel),
        loaded.vocabulary,
        loaded.ends,
    )


class BatchGenerator:
    """The library's models behind ``words.Generator``."""

    def __init__(self, model: Model, limits: Limits, matcher: Callable[[str], Matcher]) -> None:
        self._model = model
        self._limits = limits
        self._matcher = matcher
        self._schedule: Schedule[Work] = Schedule(Slots(limits.parallel), limits.step_tokens)
        self._works: dict[int, Work] = {}
        self._numbers = itertools.count(1)
        self._inbox: SimpleQueue[Work | _Cancel | _Close] = SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="generator", daemon=True)
        self._thread.start()

    @property
    def context_length(self) -> int:
        return self._limits.context_length

    def submit(self, asked: Asked, emit: Emit) -> int:
        self._check(asked)
        grammar = asked.sampling.grammar
        matcher = None if grammar is None else self._matcher(grammar)
        choosing = Choosing(asked.sampling, asked.prompt, matcher)
        number = next(self._numbers)
        self._inbox.put(Work(number, asked, emit, list(asked.prompt), choosing))
        return number

    def cancel(self, number: int) -> None:
        self._inbox.put(_Cancel(number))

    def close(self) -> None:
        self._inbox.put(_Close())
        self._thread.join()

    def _check(self, asked: Asked) -> None:
        most = self._limits.context_length
        if not asked.prompt:
            raise ValueError("the prompt is empty: send at least one token")
        if len(asked.prompt) >= most:
            raise ValueError(
                f"the prompt has {len(asked.prompt)} tokens, and the context of {most} must hold the answer too:"
                " shorten it"
            )
        if asked.sampling.max_tokens < 1:
            raise ValueError(f"max_tokens is {asked.sampling.max_tokens}, it should be at least 1")
        if min(asked.prompt) < 0 or max(asked.prompt) >= self._limits.vocabulary:
            raise ValueError(f"the prompt has tokens outside the model's vocabulary of {self._limits.vocabulary}")

    def _loop(self) -> None:
        with torch.inference_mode():
            while self._receive():
                if not self._schedule.idle:
                    self._guarded_step()
        for work in list(self._works.values()):
            self._end(work, Ending.CANCELLED)

    def _receive(self) -> bool:
        """Take what has come, waiting for it if there is nothing else to do; False: close."""
        wait = self._schedule.idle
        while True:
            try:
                message = self._inbox.get(block=wait)
            except Empty:
                return True
            wait = False
            if isinstance(message, _Close):
                return False
            if isinstance(message, Work):
                self._works[message.number] = message
                self._schedule.add(message)
            elif message.number in self._works:
                work = self._works[message.number]
                self._schedule.drop(work)
                self._end(work, Ending.CANCELLED)

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception as error:
            log.exception("a step failed; the sequences in it end here")
            for running in self._schedule.running:
                self._schedule.end(running, broken=True)
                self._end(running.sequence, Ending.FAILED, error=f"{type(error).__name__}: {error}")

    def _step(self) -> None:
        step = self._schedule.step()
        for running in step.admitted:
            if running.place.source is not None:
                self._model.copy(running.place.source.index, running.slot.index, running.place.cached)
        logits = self._model.run(lay_out(step, self._model.capacity, self._model.spare_tokens))
        self._schedule.computed(step)
        answering = [chunk.running for chunk in step.chunks if chunk.last]
        if answering:
            tokens = choose(logits, [running.sequence.choosing for running in answering])
            for running, token in zip(answering, tokens, strict=True):
                self._took(running, token)

    def _took(self, running: Running[Work], token: Token) -> None:
        work = running.sequence
        work.tokens.append(token.id)
        cached = 0 if work.begun else running.place.cached
        work.begun = True
        ending = self._ending(work, token.id)
        if ending is not None:
            self._schedule.end(running)
        self._end(work, ending, (token,), cached)

    def _ending(self, work: Work, token: int) -> Ending | None:
        sampling, matcher = work.asked.sampling, work.choosing.matcher
        complete = matcher is not None and matcher.take(token)
        if complete or token in sampling.stop_ids or (token in self._limits.ends and not sampling.ignore_eos):
            return Ending.STOP
        if work.made >= sampling.max_tokens or len(work.tokens) >= self._limits.context_length:
            return Ending.LENGTH
        return None

    def _end(
        self,
        work: Work,
        ending: Ending | None,
        tokens: tuple[Token, ...] = (),
        cached: int = 0,
        error: str | None = None,
    ) -> None:
        """Tell what has come, the end with it if there is one."""
        if ending is not None:
            self._works.pop(work.number, None)
        try:
            work.emit(Progress(tokens, ending, error, cached))
        except Exception:
            log.exception("progress could not be passed on")
