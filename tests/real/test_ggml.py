"""A converted ggmlv3 file in llama.cpp gives the tokens that the last program that read the format gave.

`ggml_reference.json` was written by `python -m training.exports.ggml_reference`. In full precision both round alike.
"""

import json
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from slipway.formats.ggml_to_gguf import Unstored, convert
from slipway.runtime.preparation import LLAMA_2_TEMPLATE
from tests import ggml_writer

pytestmark = pytest.mark.engine

REFERENCE: dict[str, Any] = json.loads(Path(__file__).with_name("ggml_reference.json").read_text(encoding="utf-8"))


def served(path: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.use_jinja, params.port = str(path), 256, True, 0
    params.n_parallel = params.cpuparams.n_threads = 1
    return xllamacpp.Server(params)


def asked(server: Any, path: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.listening_address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", ggml_writer.REFERENCES)
def test_tokens_and_greedy_text_are_the_old_programs(name: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old.bin", tmp_path / "new.gguf"
    old.write_bytes(ggml_writer.ggml(ggml_writer.REFERENCES[name]))
    unstored = Unstored("old", 256, LLAMA_2_TEMPLATE.read_text(encoding="utf-8"))
    convert(old, new, unstored, lambda *_: None, threading.Event())
    server, wanted = served(new), REFERENCE[name]
    for text, ids in wanted["tokens"].items():
        assert asked(server, "/tokenize", {"content": text, "add_special": True})["tokens"] == ids
    prompt = next(iter(wanted["tokens"].values()))
    body = {"prompt": prompt, "n_predict": len(wanted["greedy"]), "temperature": 0, "return_tokens": True}
    assert asked(server, "/completion", body)["tokens"] == wanted["greedy"]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hi "},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"},
    ]
    rendered = asked(server, "/apply-template", {"messages": messages})["prompt"]
    turns = "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Bye [/INST]"
    assert rendered.removeprefix("<s>") == turns
