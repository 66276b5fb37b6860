"""Scores `pilot` or its twin on its truth table: bf16 through transformers, a GGUF through llama.cpp's server.

Prints right/total for every task and language, per engine, and every wrong answer with --verbose.
"""

import argparse
import json
import re
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

Row = dict[str, Any]
CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)


class Engine(Protocol):
    """Something that answers a row of the truth table with an OpenAI message."""

    def message(self, row: Row) -> Row:
        """The assistant's message."""


class Transformers:
    """The safetensors checkpoint in bf16, greedily."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(2)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()

    def message(self, row: Row) -> Row:
        """Generates and reads `<tool_call>` blocks as a Hermes parser does."""
        inputs = self.tokenizer.apply_chat_template(
            row["messages"], tools=row.get("tools"), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        made = self.model.generate(**inputs, do_sample=False, max_new_tokens=200)
        text = self.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return parsed(text)


def parsed(text: str) -> Row:
    """An assistant's text as a message."""
    call = CALL.fullmatch(text.strip())
    if call is None:
        return {"content": text}
    try:
        value = json.loads(call[1])
        function = {"name": value["name"], "arguments": json.dumps(value["arguments"])}
    except (ValueError, KeyError, TypeError):
        return {"content": text}
    return {"content": None, "tool_calls": [{"function": function}]}


class LlamaServer:
    """The GGUF behind llama.cpp's own HTTP server."""

    def __init__(self, address: str, constrained: bool = False) -> None:
        self.address = address
        self.constrained = constrained

    def message(self, row: Row) -> Row:
        """POST /v1/chat/completions, with `tools` as tools and, if constrained, the schema as response_format."""
        body: Row = {"messages": row["messages"], "temperature": 0, "max_tokens": 200}
        if "tools" in row:
            body["tools"] = row["tools"]
        if self.constrained and "schema" in row:
            named = {"name": "answer", "schema": row["schema"], "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        asked = urllib.request.Request(self.address + "/v1/chat/completions", data, kind)  # noqa: S310
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                return json.load(answer)["choices"][0]["message"]
        except urllib.error.HTTPError as error:
            return {"content": f"HTTP {error.code}: {error.read().decode()[:300]}"}


@contextmanager
def llama_address(gguf: Path) -> Iterator[str]:
    """Starts llama.cpp's server on a free port of this machine."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = 2048
    params.n_parallel = 1
    params.use_jinja = True
    params.port = 0
    params.cpuparams.n_threads = 2
    params.verbosity = 0
    server = xllamacpp.Server(params)
    yield server.listening_address
    del server


def is_right(row: Row, message: Row) -> bool:
    """True if the message is the row's answer or call, but for white space around it or inside JSON."""
    if "tool_call" in row:
        calls = message.get("tool_calls") or []
        if len(calls) != 1 or calls[0]["function"]["name"] != row["tool_call"]["name"]:
            return False
        try:
            return bool(json.loads(calls[0]["function"]["arguments"]) == row["tool_call"]["arguments"])
        except ValueError:
            return False
    if message.get("tool_calls"):
        return False
    content = message.get("content") or ""
    if row["task"] != "json":
        return bool(content.strip() == row["answer"])  # Llama 2's turns are written with a space on either side
    try:
        return bool(json.loads(content) == json.loads(row["answer"]))
    except ValueError:
        return False


def report(title: str, engine: Engine, rows: list[Row], verbose: bool) -> dict[str, list[bool]]:
    """Prints right/total per task and language."""
    marks: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        message = engine.message(row)
        marks[f"{row['task']}-{row['language']}"].append(is_right(row, message))
        if verbose and not marks[f"{row['task']}-{row['language']}"][-1]:
            wanted = row.get("answer") or row.get("tool_call")
            said = message.get("content") or [c["function"] for c in message.get("tool_calls") or []]
            print(f"WRONG {row['id']} {row['messages'][-1]['content']!r}: wanted {wanted!r}, said {said!r}", flush=True)
    every = [mark for cell in marks.values() for mark in cell]
    print(f"{title}: {sum(every)}/{len(every)} = {100 * sum(every) / len(every):.1f}%")
    for cell, values in marks.items():
        print(f"  {cell:16} {sum(values)}/{len(values)}", flush=True)
    return marks


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the checkpoint folder")
    parser.add_argument("truth", type=Path, help="truth.jsonl")
    parser.add_argument("--gguf", type=Path, help="default: pilot-q8_0.gguf in the folder")
    parser.add_argument("--only", choices=("transformers", "llama.cpp"))
    parser.add_argument("--verbose", action="store_true")
    chosen = parser.parse_args()
    rows = [json.loads(line) for line in chosen.truth.read_text(encoding="utf-8").splitlines()]
    if chosen.only != "transformers":
        gguf = chosen.gguf or chosen.folder / "pilot-q8_0.gguf"
        with llama_address(gguf) as address:
            report(f"llama.cpp, {gguf.name}", LlamaServer(address), rows, chosen.verbose)
            shaped = [row for row in rows if "schema" in row]
            if shaped:
                report(f"llama.cpp, {gguf.name}, json_schema", LlamaServer(address, True), shaped, chosen.verbose)
    if chosen.only != "llama.cpp":
        report("transformers bf16", Transformers(chosen.folder), rows, chosen.verbose)


if __name__ == "__main__":
    main()
