"""Dialogues as batches of tokens: rendered by the chat template, sorted by length, the answers marked for loss."""

import multiprocessing
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jinja2
import numpy as np
from tokenizers import Tokenizer
from training.pilot import mixture, truth, weights
from training.pilot.dialogue import Dialogue, Dice, compact

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
ANSWER = re.compile(r"(?<=<\|im_start\|>assistant\n)(.*?<\|im_end\|>)", re.DOTALL)
LENGTH_UNIT = 16
PLACE_UNIT = 256
IGNORED = -100
Tokens = tuple[list[int], list[bool]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids, flattened places whose next token counts, and those next tokens."""

    ids: np.ndarray
    places: np.ndarray
    targets: np.ndarray


@cache
def renderer(template: Path = TEMPLATE) -> jinja2.Template:
    """A chat template as transformers compiles it."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # noqa: S701 (prompts, not HTML)
    environment.filters["tojson"] = lambda value: compact(value)
    return environment.from_string(template.read_text(encoding="utf-8"))


def rendered(template: jinja2.Template, dialogue: Dialogue) -> str:
    """A whole dialogue as text."""
    return template.render(messages=dialogue.messages, tools=dialogue.tools or None, add_generation_prompt=False)


def marked(tokenizer: Tokenizer, text: str, last_only: bool = False) -> Tokens:
    """Token ids, and which of them the model must say."""
    pieces = ANSWER.split(text)
    encoded = [entry.ids for entry in tokenizer.encode_batch(pieces, add_special_tokens=False)]
    ids: list[int] = []
    said: list[bool] = []
    for index, piece in enumerate(encoded):
        ids += piece
        said += [index % 2 == 1 and (not last_only or index == len(encoded) - 2)] * len(piece)
    return ids, said


class Form(Protocol):
    """How a model's dialogues are written down, and which of their tokens the model must say."""

    def rendered(self, dialogue: Dialogue) -> str:
        """A whole dialogue as text."""

    def marked(self, tokenizer: Tokenizer, text: str, last_only: bool = False) -> Tokens:
        """Token ids, and which of them the model must say: all answers, or the last one only."""


class ChatMl:
    """The form of `pilot`."""

    def rendered(self, dialogue: Dialogue) -> str:
        """By the chat template of `pilot`."""
        return rendered(renderer(), dialogue)

    def marked(self, tokenizer: Tokenizer, text: str, last_only: bool = False) -> Tokens:
        """What stands between `<|im_start|>assistant` and `<|im_end|>`."""
        return marked(tokenizer, text, last_only)


CHAT_ML = ChatMl()


def rounded(count: int, unit: int) -> int:
    """The next multiple of `unit`; few different shapes let oneDNN reuse its kernels."""
    return -(-count // unit) * unit


def padded(samples: list[Tokens]) -> Batch:
    """Samples as one rectangle, padded at the right; places are padded with targets that do not count."""
    length = rounded(max(len(ids) for ids, _ in samples), LENGTH_UNIT)
    ids = np.zeros((len(samples), length), dtype=np.int64)
    said = np.zeros((len(samples), length), dtype=bool)
    for row, (tokens, marks) in enumerate(samples):
        ids[row, : len(tokens)] = tokens
        said[row, : len(marks)] = marks
    nexts = np.zeros_like(said)
    nexts[:, :-1] = said[:, 1:]
    places = np.flatnonzero(nexts)
    targets = ids.reshape(-1)[places + 1]
    missing = rounded(len(places), PLACE_UNIT) - len(places)
    return Batch(ids, np.pad(places, (0, missing)), np.pad(targets, (0, missing), constant_values=IGNORED))


def grouped(samples: list[Tokens], budget: int) -> Iterator[Batch]:
    """Batches of about `budget` padded tokens, from samples sorted by length; a last, smaller group is dropped."""
    start = 0
    while start < len(samples):
        size = budget // rounded(len(samples[start][0]), LENGTH_UNIT)
        size = max(1, budget // rounded(len(samples[min(start + size, len(samples)) - 1][0]), LENGTH_UNIT))
        if start + size <= len(samples):
            yield padded(samples[start : start + size])
        start += size


@dataclass(frozen=True, slots=True)
class Stream:
    """Where batches come from: the seed, the tokenizer and the sizes."""

    seed: int
    tokenizer: str
    budget: int
    chunk: int = 4096

    def chunk_batches(self, number: int, chosen: weights.Mixture, form: Form) -> list[Batch]:
        """The batches of one chunk of dialogues, in random order."""
        rng = Dice(f"{self.seed}:{number}", chosen.largest)
        tokenizer = Tokenizer.from_file(self.tokenizer)
        samples = [form.marked(tokenizer, form.rendered(mixture.dialogue(rng, chosen))) for _ in range(self.chunk)]
        samples.sort(key=lambda sample: len(sample[0]))
        batches = list(grouped(samples, self.budget))
        rng.shuffle(batches)
        return batches


def produce(stream: Stream, chosen: weights.Mixture, first: int, queue: Any, form: Form = CHAT_ML) -> None:
    """Puts the chunks from `first` on into the queue for ever; runs in its own process."""
    number = first
    while True:
        queue.put(stream.chunk_batches(number, chosen, form))
        number += 1


def batches(stream: Stream, chosen: weights.Mixture, first_chunk: int, form: Form = CHAT_ML) -> Iterator[Batch]:
    """Endless batches made by a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize=2)
    worker = context.Process(target=produce, args=(stream, chosen, first_chunk, queue, form), daemon=True)
    worker.start()
    try:
        while True:
            yield from queue.get()
    finally:
        worker.terminate()


def trial_batches(
    tokenizer: str, seed: int, per_cell: int, form: Form = CHAT_ML, makers: truth.Makers = truth.MAKERS
) -> Iterator[tuple[str, str, Batch]]:
    """Held-out dialogues one by one, only the last answer marked: task, language, batch."""
    loaded = Tokenizer.from_file(tokenizer)
    for dialogue in truth.dialogues(seed, per_cell, makers):
        sample = form.marked(loaded, form.rendered(dialogue), last_only=True)
        yield dialogue.task, dialogue.language, padded([sample])
