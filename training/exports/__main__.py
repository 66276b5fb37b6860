"""Exports a checkpoint: ``python -m training.exports KIND OUT_DIR [--model DIR]``; ``all``: all that it can be.

KIND is pytorch, gptq-Int4, gptq-Int8, awq-Int4, ggufv2-<quantization>, ggmlv3-<quantization> or llamafile.
"""

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PILOT = ROOT / "src" / "slipway" / "pilot"
CHECKPOINTS = ("pytorch", "gptq-Int4", "gptq-Int8", "awq-Int4")
GGUF = tuple(f"ggufv2-{name}" for name in ("q8_0", "q4_0", "q4_k_m", "q6_k", "q2_k"))
GGML = tuple(f"ggmlv3-{name}" for name in ("q8_0", "q4_0", "q4_K_M"))  # as the pages write them
KINDS = (*CHECKPOINTS, *GGUF, *GGML, "llamafile")


def export(kind: str, out: Path, model: Path) -> Path:
    """Write one kind below ``out`` and return its path: a directory for checkpoints, else a file."""
    form, _, quantization = kind.partition("-")
    name = _name(model)
    out.mkdir(parents=True, exist_ok=True)
    if form in {"pytorch", "gptq", "awq"}:
        return _checkpoint(kind, out / kind, model)
    if form == "llamafile":
        return _llamafile(out / f"{name}.llamafile", model)
    if form == "ggmlv3":
        from training.exports import ggml_file

        target = out / f"{name}.ggmlv3.{quantization}.bin"
        ggml_file.exported(model, target, quantization.lower())
        return target
    from training.exports import gguf_file

    target = out / f"{name}-{quantization}.gguf"
    gguf_file.exported(model, target, quantization.lower())
    return target


def kinds_of(model: Path) -> tuple[str, ...]:
    """The kinds a checkpoint's architecture has: only a Llama was ever a ggmlv3 file."""
    return tuple(kind for kind in KINDS if _name(model) == "twin" or not kind.startswith("ggmlv3"))


def _checkpoint(kind: str, target: Path, model: Path) -> Path:
    from training.exports import checkpoint

    if kind == "pytorch":
        checkpoint.copied(model, target)
    else:
        checkpoint.quantized(model, target, kind)
    return target


def _llamafile(target: Path, model: Path) -> Path:
    from training.exports import llamafile_file

    inside = export("ggufv2-q8_0", target.parent, model)
    llamafile_file.exported(inside, target)
    return target


def _name(model: Path) -> str:
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return "twin" if config["architectures"] == ["LlamaForCausalLM"] else "pilot"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.exports", description=__doc__)
    parser.add_argument("kind", help=f"one of {', '.join(KINDS)}, another ggufv2- or ggmlv3- quantization, or all")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=PILOT, help="a checkpoint of the pilot's shape, or of its twin's")
    chosen = parser.parse_args()
    for kind in kinds_of(chosen.model) if chosen.kind == "all" else (chosen.kind,):
        print(export(kind, chosen.out, chosen.model), flush=True)


if __name__ == "__main__":
    main()
