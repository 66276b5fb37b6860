"""What llama-cpp-python 0.1.78, the last program that reads ggmlv3, makes of the files of tests/ggml_writer.py.

Run in an environment of its own, which needs a C++ compiler: ``pip install llama-cpp-python==0.1.78 numpy``, then
``python -m training.exports.ggml_reference tests/real/ggml_reference.json``.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from llama_cpp import Llama
from tests import ggml_writer

TEXTS = ("Paris is the city", "héllo 中国\n  x", "a b  c!")
TOKENS = 24


def reference(name: str, folder: Path) -> dict[str, object]:
    """Token ids of the texts (with the leading space, which this program does not add), and the greedy tokens."""
    shape = ggml_writer.REFERENCES[name]
    path = folder / f"{name}.bin"
    path.write_bytes(ggml_writer.ggml(shape))
    groups = shape.heads // shape.kv_heads
    model = Llama(str(path), n_ctx=128, n_threads=1, rms_norm_eps=1e-5, n_gqa=groups, logits_all=True, verbose=False)
    tokens = {text: list(model.tokenize(f" {text}".encode(), add_bos=True)) for text in TEXTS}
    model.reset()
    model.eval(tokens[TEXTS[0]])
    greedy: list[int] = []
    for _ in range(TOKENS):
        greedy.append(int(np.argmax(model._scores[-1])))
        model.eval(greedy[-1:])
    return {"tokens": tokens, "greedy": greedy}


def main() -> None:
    """Command line."""
    with tempfile.TemporaryDirectory() as folder:
        made = {name: reference(name, Path(folder)) for name in ggml_writer.REFERENCES}
    Path(sys.argv[1]).write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
