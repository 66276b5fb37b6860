"""A talk with one model: asks, prints the pieces as they come, and keeps the history that the next question needs."""

import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO, TypeVar

from slipway.errors import SlipwayError

HELP = "/system TEXT sets the system prompt, /clear forgets the talk, /exit ends it; Ctrl-C stops an answer"
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


_T = TypeVar("_T")
Pieces = Generator[_T, None, None]


class Answers(Protocol):
    """What a talk needs of a client."""

    def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]: ...
    def stream(self, path: str, body: Mapping[str, Any]) -> Pieces[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model to ask, and how: the sampling options as the API names them."""

    client: Answers
    uid: str
    options: Mapping[str, Any]
    stream: bool = True

    def chat(self, messages: list[dict[str, str]]) -> Pieces[str]:
        return self._pieces("/v1/chat/completions", {"messages": messages})

    def generate(self, prompt: str) -> Pieces[str]:
        return self._pieces("/v1/completions", {"prompt": prompt})

    def _pieces(self, path: str, asked: Mapping[str, Any]) -> Pieces[str]:
        body = {"model": self.uid, **asked, **self.options}
        if not self.stream:
            yield from _texts(self.client.complete(path, body))
            return
        with closing(self.client.stream(path, body)) as events:  # the connection closes, and the engine stops
            for event in events:
                yield from _texts(event)


@dataclass(slots=True)
class Conversation:
    """The history of a chat: the system prompt, then questions and answers in turn."""

    system: str | None = None
    turns: list[dict[str, str]] = field(default_factory=list)

    def messages(self, question: str) -> list[dict[str, str]]:
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.turns, {"role": "user", "content": question}]

    def keep(self, question: str, answer: str) -> None:
        self.turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def tell(pieces: Pieces[str], out: TextIO, heard: list[str] | None = None) -> None:
    """Print the pieces as they come and end the line; each is put into ``heard`` before it is printed.

    Control characters are left out on a terminal, where a model could otherwise drive it.
    """
    terminal = out.isatty()
    with closing(pieces):
        for piece in pieces:
            if heard is not None:
                heard.append(piece)
            out.write(piece.translate(_CONTROLS) if terminal else piece)
            out.flush()
    out.write("\n")
    out.flush()


def converse(speaker: Speaker, talk: Conversation, read_line: Callable[[], str], out: TextIO) -> None:
    """Questions and answers until /exit or the end of input. Ctrl-C stops an answer; at the prompt it is raised."""
    for line in _lines(read_line):
        if line == "/exit":
            return
        if line.startswith("/"):
            print(_command(line, talk), file=sys.stderr)
            continue
        answer = _interruptible(speaker.chat(talk.messages(line)), out)
        if answer:
            talk.keep(line, answer)


def continue_texts(speaker: Speaker, read_line: Callable[[], str], out: TextIO) -> None:
    """Prompts and their continuations, each on its own, until /exit or the end of input."""
    for line in _lines(read_line):
        if line == "/exit":
            return
        _interruptible(speaker.generate(line), out)


def _interruptible(pieces: Pieces[str], out: TextIO) -> str:
    """What was told until Ctrl-C or an error, which end the answer and not the talk."""
    heard: list[str] = []
    try:
        tell(pieces, out, heard)
    except KeyboardInterrupt:
        print("\n(stopped)", file=sys.stderr)
    except SlipwayError as error:
        print(f"\n({error.message})" if heard else f"({error.message})", file=sys.stderr)
    return "".join(heard)


def _command(line: str, talk: Conversation) -> str:
    word, _, text = line.partition(" ")
    if word == "/clear":
        talk.turns.clear()
        return "(the talk is forgotten)"
    if word == "/system":
        talk.system = text.strip() or None
        return "(the system prompt is set)" if talk.system else "(there is no system prompt now)"
    return HELP if word == "/help" else f"no command {word}: {HELP}"


def _lines(read_line: Callable[[], str]) -> Iterator[str]:
    while True:
        try:
            line = read_line().strip()
        except EOFError:
            return
        if line:
            yield line


def _texts(event: Mapping[str, Any]) -> Iterator[str]:
    for choice in (event.get("choices") or [])[:1]:
        said = choice.get("delta") or choice.get("message") or {}
        text = said.get("content") or choice.get("text")
        if text:
            yield text
        if choice.get("finish_reason") == "length":
            print("(cut short at the token limit)", file=sys.stderr)
