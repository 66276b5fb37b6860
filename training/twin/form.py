"""Llama 2's chat form: `<s>[INST] question [/INST] answer </s>`, the system prompt inside the first question."""

from pathlib import Path

from tokenizers import Tokenizer
from training.pilot.batches import Tokens, renderer
from training.pilot.dialogue import Dialogue
from training.twin.dialogues import own

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
START, END = "<s>", "</s>"
ANSWER = "▁[/INST]"  # one token of the twin's vocabulary; the answer is what follows it


class Llama2:
    """How the twin's dialogues are written down."""

    def rendered(self, dialogue: Dialogue) -> str:
        """By the twin's chat template."""
        return renderer(TEMPLATE).render(messages=own(dialogue).messages, bos_token=START, eos_token=END)

    def marked(self, tokenizer: Tokenizer, text: str, last_only: bool = False) -> Tokens:
        """Encodes the text in one go, as engines do, and marks what stands between `[/INST]` and `</s>`."""
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        opening, closing = tokenizer.token_to_id(ANSWER), tokenizer.token_to_id(END)
        last = len(ids) - 1 - ids[::-1].index(opening) if last_only else 0
        said: list[bool] = []
        saying = False
        for place, token in enumerate(ids):
            said.append(saying and place > last)
            saying = token == opening or (saying and token != closing)
        return ids, said


LLAMA_2 = Llama2()
