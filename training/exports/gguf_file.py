"""A checkpoint of the pilot, or of its Llama twin, as a GGUF file in one of llama.cpp's quantizations."""

import json
from pathlib import Path

import gguf
from training.exports.quantized import FILE_TYPE_NUMBERS, written
from training.pilot.export_gguf import PILOT, Kind, add_architecture
from training.twin.export_gguf import TWIN

from slipway.engines.mixes import Generation

KINDS = {"Qwen2ForCausalLM": PILOT, "LlamaForCausalLM": TWIN}


def kind_of(folder: Path) -> Kind:
    """How a checkpoint's architecture is written. Raises KeyError for another one."""
    return KINDS[json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"][0]]


def exported(folder: Path, target: Path, quantization: str) -> None:
    """Writes ``target``, whole or not at all."""
    kind, part = kind_of(folder), target.with_name(f"{target.name}.part")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(str(part), kind.architecture)
    add_architecture(writer, config, kind)
    writer.kv_data[0].pop("general.file_type")  # add_architecture's is q8_0
    writer.add_file_type(FILE_TYPE_NUMBERS[quantization])
    kind.add_vocabulary(writer, folder)
    for each in written(folder, quantization, Generation.GGUF, kind.interleaved):
        writer.add_tensor(each.name, each.data, raw_dtype=each.type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(target)
