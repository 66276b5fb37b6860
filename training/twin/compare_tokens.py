"""Compares the ids that transformers and llama.cpp give to thousands of the twin's prompts and to made-up texts.

Ends with an error if any differs: a checkpoint and its GGUF could then answer differently for no fault of an engine.
"""

import argparse
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from training.pilot import mixture
from training.pilot.dialogue import Dice, Message
from training.pilot.evaluate import llama_address
from training.twin.dialogues import WHOLE, own
from transformers import AutoTokenizer

PARTS = [
    *"abeINST[/]<>SY 019éö龘苹果是😀,.?!▁\n\t", "the", "an", "What", "  ", "   ", "\n\n", "<s>", "</s>",
    "<unk>", "<0x41>", "[INST]", " [/INST]", "<<SYS>>", "<</SYS>>",
]  # fmt: skip


def chats(count: int) -> Iterator[list[Message]]:
    """Dialogues of the twin, each cut after one of its questions."""
    rng = Dice("compare")
    for _ in range(count):
        messages = own(mixture.dialogue(rng, WHOLE)).messages
        ends = [place for place, message in enumerate(messages) if message["role"] == "user"]
        yield messages[: rng.choice(ends) + 1]


def texts(count: int) -> Iterator[str]:
    """Random sequences of hard parts, and runs of one part."""
    rng = Random("compare")
    for _ in range(count):
        yield "".join(rng.choice(PARTS) for _ in range(rng.randint(0, 40)))
    for part in PARTS:
        yield from (part * times for times in range(1, 20))


def told(address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What llama.cpp's server answers to a POST."""
    asked = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        read: dict[str, Any] = json.load(answer)
        return read


def ids_of(address: str, text: str) -> list[int]:
    """llama.cpp's ids of a text, with the start token, special tokens read as such."""
    ids: list[int] = told(address, "/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]
    return ids


def differences(folder: Path, address: str, count: int) -> Iterator[str]:
    """Every text or chat of which the ids differ."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in texts(count):
        if ids_of(address, text) != tokenizer(text)["input_ids"]:
            yield repr(text)
    for messages in chats(count):
        prompt = told(address, "/apply-template", {"messages": messages})["prompt"]
        wanted = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        if ids_of(address, prompt) != wanted:
            yield repr(prompt)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the checkpoint folder")
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--count", type=int, default=3000, help="chats, and as many made-up texts")
    chosen = parser.parse_args()
    with llama_address(chosen.gguf) as address:
        found = list(differences(chosen.folder, address, chosen.count))
    print(f"{chosen.count} chats, {chosen.count + 19 * len(PARTS)} texts: {len(found)} differ")
    for text in found[:10]:
        print(f"  {text}")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
