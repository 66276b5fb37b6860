"""Trains the twin, a small Llama, with the training of `pilot`: its own shape, tokenizer, chat form and dialogues."""

from pathlib import Path
from typing import Any

from training.pilot.checkpoint import sizes
from training.pilot.network import Shape
from training.pilot.train import Phase, Plan, Recipe, first_dialogues, main
from training.twin.dialogues import MAKERS, WHOLE, own
from training.twin.form import LLAMA_2, TEMPLATE
from training.twin.tokenizer import VOCABULARY, saved_tokenizer

# GGJT v3 files hold no number of key heads and no inner width: it is as many as heads, and 8/3 of `hidden` rounded up.
SHAPE = Shape(
    vocabulary=VOCABULARY,
    layers=4,
    key_heads=4,
    inner=768,
    epsilon=1e-5,
    context=4096,
    biased=False,
    tied=False,
)
PLAN = Plan((Phase(3200, WHOLE),))


def made_tokenizer(plan: Plan, folder: Path) -> None:
    """Trains the twin's tokenizer on the first dialogues of the stream."""
    texts = (message["content"] for dialogue in first_dialogues(plan) for message in own(dialogue).messages)
    saved_tokenizer(texts, TEMPLATE.read_text(encoding="utf-8"), folder)


def llama_files(shape: Shape) -> dict[str, dict[str, Any]]:
    """config.json and generation_config.json of the twin."""
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "head_dim": shape.head,
        "mlp_bias": False,
        "pretraining_tp": 1,
        "rope_scaling": None,
        **ends,
        **sizes(shape),
    }
    return {"config.json": config, "generation_config.json": {**ends, "do_sample": False, "max_new_tokens": 256}}


TWIN = Recipe(PLAN, SHAPE, LLAMA_2, MAKERS, made_tokenizer, llama_files)

if __name__ == "__main__":
    main(TWIN)
