"""Stand-ins that real engines launch: the pilot as a model of each architecture and format, or tiny random weights.

`make` is the one place that knows how to make a checkpoint of an architecture and a format; what cannot be made here
is skipped by name.
"""

import functools
import json
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import slipway
from slipway.types import Format
from tests import ggml_writer
from tests.real.environments import engine_python
from tests.spec_stand_ins import Case, files_of

ROOT = Path(__file__).parents[2]
PILOT = Path(slipway.__file__).parent / "pilot"
_CHECKPOINT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")


@dataclass(frozen=True, slots=True)
class Made:
    """The files of a repository. ``truthful``: it is the pilot, and knows the answers."""

    files: Mapping[str, bytes]
    truthful: bool


def make(case: Case, directory: Path) -> Made:
    """The stand-in of a spec in a quantization, made in ``directory`` where files are needed on the way."""
    if case.spec.format is Format.GGUF:
        return Made(files_of(case, (PILOT / "pilot-q8_0.gguf").read_bytes()), truthful=True)
    if case.spec.format is Format.GGML:
        return Made(files_of(case, ggml_writer.ggml(ggml_writer.Shape(file_type=7), ggml_writer.Q8_0)), truthful=False)
    assert case.spec.architecture is not None
    if case.spec.architecture.name == "Qwen2ForCausalLM" and case.spec.format in {Format.GPTQ, Format.AWQ}:
        return Made(quantized_pilot(f"{case.spec.format}-{case.quantization}"), truthful=True)
    maker = _MAKERS.get((case.spec.architecture.name, case.spec.format))
    if maker is None:
        pytest.skip(f"no stand-in of {case.spec.architecture.name} is made as {case.spec.format} yet")
    return maker(directory)


def pilot(_: Path) -> Made:
    """The pilot's own checkpoint, a Qwen2."""
    return Made(_pilot_files(), truthful=True)


@functools.cache
def quantized_pilot(kind: str) -> Mapping[str, bytes]:
    """The pilot quantized by the Transformers engine's environment, once for all specs of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [str(engine_python("Transformers")), "-m", "training.exports", kind, folder]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        return {each.name: each.read_bytes() for each in (Path(folder) / kind).iterdir()}


def pilot_as_llama(_: Path) -> Made:
    """The pilot as a Llama: the same decoder, with biases, and one of zeros for the output projection."""
    files = _pilot_files()
    config = json.loads(files["config.json"])
    for key in ("sliding_window", "use_sliding_window", "max_window_layers"):
        config.pop(key, None)
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": True, "mlp_bias": False}
    zeros = {
        f"model.layers.{layer}.self_attn.o_proj.bias": (
            "BF16",
            [config["hidden_size"]],
            bytes(2 * config["hidden_size"]),
        )
        for layer in range(config["num_hidden_layers"])
    }
    files["config.json"] = json.dumps(config).encode()
    files["model.safetensors"] = with_tensors(files["model.safetensors"], zeros)
    return Made(files, truthful=True)


def with_tensors(data: bytes, more: Mapping[str, tuple[str, list[int], bytes]]) -> bytes:
    """A safetensors file with tensors added at its end: name -> dtype, shape, bytes."""
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for name, (dtype, shape, content) in more.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + body


def _pilot_files() -> dict[str, bytes]:
    files = {name: (PILOT / name).read_bytes() for name in _CHECKPOINT}
    settings = json.loads(files["tokenizer_config.json"])
    settings["chat_template"] = (PILOT / "chat_template.jinja").read_text(encoding="utf-8")
    return {**files, "tokenizer_config.json": json.dumps(settings).encode()}


# Still without a stand-in: GPTQ and AWQ of a Llama, and the two that see.
_MAKERS: Mapping[tuple[str, Format], Callable[[Path], Made]] = {
    ("Qwen2ForCausalLM", Format.PYTORCH): pilot,
    ("LlamaForCausalLM", Format.PYTORCH): pilot_as_llama,
}
