"""Files beside the model, on the real llama.cpp: a draft model, adapters, a projector, and what is none of them."""

import random
import struct
from array import array
from pathlib import Path

import pytest

import slipway
from tests.gguf_writer import F32, STRING, U32, Typed, text, typed
from tests.real.server import Server

pytestmark = pytest.mark.engine

PILOT = Path(slipway.__file__).parent / "pilot" / "pilot-q8_0.gguf"
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
LAYERS, HIDDEN, RANK, ALIGNMENT = 5, 256, 8, 32


def adapter(path: Path, size: float) -> Path:
    """A LoRA adapter of the pilot's attention outputs; of size 0 it changes nothing, of size 3 everything."""
    chance = random.Random(0)
    values: dict[str, Typed] = {
        "general.architecture": (STRING, "qwen2"),
        "general.type": (STRING, "adapter"),
        "adapter.type": (STRING, "lora"),
        "adapter.lora.alpha": (F32, 16.0),
        "general.file_type": (U32, 0),
    }
    infos, data = b"", b""
    for layer in range(LAYERS):
        for part, shape, spread in (("a", (HIDDEN, RANK), 0.05), ("b", (RANK, HIDDEN), size)):
            name = f"blk.{layer}.attn_output.weight.lora_{part}"
            infos += text(name) + struct.pack("<IQQIQ", 2, *shape, 0, len(data))
            data += array("f", (chance.gauss(0, 1) * spread for _ in range(HIDDEN * RANK))).tobytes()
    head = b"GGUF" + struct.pack("<IQQ", 3, 2 * LAYERS, len(values))
    head += b"".join(text(key) + typed(value) for key, value in values.items()) + infos
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    return path


def answer(server: Server, *flags: str) -> str:
    """What the pilot says to a question, launched with flags and ended again."""
    done = server.run("launch", "--model-name", "pilot", *flags)
    assert done.returncode == 0, done.stderr
    said = server.chat("pilot", CAPITAL, max_tokens=20)["content"]
    assert server.run("terminate", "--model-uid", "pilot").returncode == 0
    return str(said)


@pytest.mark.parametrize("draft", [str(PILOT), "ngram"])
def test_drafted_tokens_are_the_models_own(server: Server, draft: str) -> None:
    assert answer(server, "--draft-model", draft, "--draft-tokens", "4") == answer(server)


def test_an_adapter_is_applied_and_one_of_zeros_changes_nothing(server: Server, tmp_path: Path) -> None:
    nothing, noise = adapter(tmp_path / "nothing.gguf", 0), adapter(tmp_path / "noise.gguf", 3)
    assert "Paris" in answer(server, "--lora-modules", f"a={nothing}")
    assert "Paris" not in answer(server, "--lora-modules", f"a={noise}")
    assert "Paris" not in answer(server, "--lora-modules", f"a={nothing},b={noise}")


def test_what_is_no_companion_is_a_sentence(server: Server) -> None:
    for flags, said in (
        (("--lora-modules", f"a={PILOT}"), "is a model, not a LoRA adapter"),
        (("--draft-model", "/nowhere.gguf"), "expected a GGUF file"),
    ):
        done = server.run("launch", "--model-name", "pilot", "--model-engine", "llama.cpp", *flags)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert server.children() == []


def test_a_projector_that_is_none_is_told_by_the_engine(server: Server) -> None:
    done = server.run("launch", "--model-name", "pilot", "--mmproj", str(PILOT))
    assert done.returncode == 1
    assert "llama.cpp" in done.stderr
    assert server.run("terminate", "--model-uid", "pilot").returncode in {0, 1}
