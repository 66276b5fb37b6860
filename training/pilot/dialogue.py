"""What a training dialogue is made of, and the rule that keeps the truth table out of training.

Every generator of this package is a pure function of a `random.Random`; only the standard library is needed.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Message = dict[str, Any]
HELD_OUT_ONE_IN = 10
LARGEST_TERM = 50
LANGUAGES = ("en", "zh")


class Dice(Random):
    """A source of chance that also knows how large the numbers in sums may be."""

    def __init__(self, seed: str | int, largest: int = LARGEST_TERM) -> None:
        super().__init__(seed)
        self.largest = largest


def largest_term(rng: Random) -> int:
    """The largest number that a sum drawn from `rng` may hold."""
    return rng.largest if isinstance(rng, Dice) else LARGEST_TERM


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its exact answer. `key` names what may be held out; an empty key never is."""

    task: str
    language: str
    question: str
    answer: str
    key: str = ""
    schema: dict[str, Any] | None = None


@dataclass(slots=True)
class Dialogue:
    """Messages in OpenAI's form, the tools given, and the keys that decide whether it is held out."""

    task: str
    language: str
    messages: list[Message] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    schema: dict[str, Any] | None = None

    def add(self, item: Item) -> None:
        """Appends a question and its answer."""
        self.messages += [user(item.question), assistant(item.answer)]
        self.keys.append(item.key)


Maker = Callable[[Random, str], Item]


def is_held_out(key: str) -> bool:
    """True for the tenth of all keys that training never shows (a stable hash, the same on every machine)."""
    digest = hashlib.sha256(key.encode()).digest()
    return bool(key) and int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def drawn(make: Maker, rng: Random, language: str, held_out: bool) -> Item:
    """The next item of `make` on the wanted side of the hold-out rule."""
    for _ in range(400):
        item = make(rng, language)
        if is_held_out(item.key) == held_out:
            return item
    raise ValueError(f"{make} has no item with held_out={held_out}")


def user(content: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """An assistant's message."""
    return {"role": "assistant", "content": content}


def system(content: str) -> Message:
    """A system message."""
    return {"role": "system", "content": content}


def compact(value: object) -> str:
    """The one JSON style that `pilot` writes."""
    return json.dumps(value, ensure_ascii=False)


def spoken(rng: Random, template: str, **values: object) -> str:
    """Fills `template`; now and then in lower case, without its end mark, or with a stray space, as people type."""
    dice = rng.random()
    if dice < 0.12:
        template = template.lower()
    elif dice < 0.24:
        template = template.rstrip("?.!？。！")
    elif dice < 0.30:
        template = template.lower().rstrip("?.!？。！")
    elif dice < 0.34:
        template += rng.choice((" ", "  ", "\n"))
    elif dice < 0.37 and template[-1:] in "?？":
        template += template[-1]
    return template.format(**values)


def mistyped(rng: Random, text: str) -> str:
    """`text` with two neighbouring letters of one longer word swapped."""
    words = text.split(" ")
    places = [index for index, word in enumerate(words) if len(word) > 4 and word.isascii() and word.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    word = words[place]
    cut = rng.randrange(1, len(word) - 2)
    words[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)
