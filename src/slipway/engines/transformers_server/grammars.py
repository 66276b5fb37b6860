"""llguidance's edge of the HTTP side: a constraint becomes the grammar text that the generator compiles."""

import re
from functools import lru_cache
from typing import Protocol

from slipway.engines.transformers_server.constraints import Constraint, Language


class Compile(Protocol):
    """The grammar's text as llguidance takes it. Raises ValueError in words if it is none."""

    def __call__(self, constraint: Constraint, /) -> str: ...


@lru_cache(maxsize=256)
def compile_with_llguidance(constraint: Constraint) -> str:
    """Checked without the tokenizer; large schemas take 0.1 s and more, during which the GIL is free."""
    import llguidance  # only in the engine's environment

    text: str
    if constraint.language is Language.REGEX:
        text = llguidance.grammar_from("regex", constraint.text)
    elif constraint.language is Language.GRAMMAR:
        text = llguidance.grammar_from("grammar", constraint.text)
    else:
        text = constraint.text
    error: str = llguidance.LLMatcher.validate_grammar(text)
    if error and not error.startswith("WARNING"):
        raise ValueError(_in_words(error))
    return text


def _in_words(error: str) -> str:
    """Without the excerpt of the grammar, which may be a long schema, and the place in it."""
    return re.sub(r"^at \d+\(\d+\): ", "", re.split(r"\n *\d+ \| ", error, maxsplit=1)[0]).strip()
