"""A checkpoint as it is, or quantized by gptqmodel on a CPU: GPTQ Int4 and Int8, AWQ Int4.

Needs the Transformers engine's environment: torch, transformers, gptqmodel, optimum.
"""

import json
import os
import shutil
from pathlib import Path
from random import Random

from training.pilot import mixture, weights
from training.pilot.batches import CHAT_ML
from training.twin import dialogues as twin
from training.twin.form import LLAMA_2

COPIED = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
GROUP = 64  # weights that share a scale: divides both widths of the pilot, 256 and 512
_CALIBRATION_SEED = 4
_DIALOGUES = 128
BITS = {"gptq-Int4": 4, "gptq-Int8": 8, "awq-Int4": 4}


def copied(folder: Path, target: Path) -> None:
    """The checkpoint itself."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (*COPIED, "model.safetensors"):
        shutil.copyfile(folder / name, target / name)


def quantized(folder: Path, target: Path, kind: str) -> None:
    """The checkpoint in ``kind``, written anew; embeddings, norms and the tied head stay as they are."""
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
    from gptqmodel.quantization import FORMAT, METHOD

    method = {"method": METHOD.AWQ, "format": FORMAT.GEMM} if kind == "awq-Int4" else {"desc_act": False, "sym": True}
    config = QuantizeConfig(bits=BITS[kind], group_size=GROUP, **method)
    model = GPTQModel.load(str(folder), config, device="cpu")
    backend = BACKEND.AWQ_TORCH if kind == "awq-Int4" else BACKEND.AUTO  # AWQ's own choice wants a GPU
    model.quantize(calibration(folder), batch_size=8, backend=backend)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    model.save(str(target))
    for name in COPIED[1:]:
        shutil.copyfile(folder / name, target / name)
    _keep_plain_keys(target / "config.json", folder / "config.json")


def calibration(folder: Path) -> list[str]:
    """Whole dialogues from the generators; their hold-out rule keeps the truth table's questions out."""
    dice = Random(_CALIBRATION_SEED)
    if '"LlamaForCausalLM"' in (folder / "config.json").read_text(encoding="utf-8"):
        return [LLAMA_2.rendered(mixture.dialogue(dice, twin.WHOLE)) for _ in range(_DIALOGUES)]
    return [CHAT_ML.rendered(mixture.dialogue(dice, weights.WHOLE)) for _ in range(_DIALOGUES)]


def _keep_plain_keys(written: Path, original: Path) -> None:
    """The quantizer saves its own idea of a config: what the checkpoint said stays, what it added is added."""
    config = json.loads(written.read_text(encoding="utf-8")) | json.loads(original.read_text(encoding="utf-8"))
    written.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
