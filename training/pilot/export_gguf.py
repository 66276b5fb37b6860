"""Writes a Qwen2 or Llama checkpoint folder as one GGUF file, its matrices in q8_0."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """llama.cpp's name of a Qwen2 or Llama tensor."""
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    if rest in NAMES:
        return f"blk.{layer}.{NAMES[rest]}"
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[part]}.{kind}"


def add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Copies vocabulary, merges, special tokens and the chat template."""
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = dict(data["model"]["vocab"])
    special = {token["content"]: token["id"] for token in data["added_tokens"]}
    vocabulary.update(special)
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    kinds = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    kinds = [gguf.TokenType.UNUSED if t.startswith("<|unused_") else k for t, k in zip(tokens, kinds, strict=True)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]])
    writer.add_eos_token_id(special["<|im_end|>"])
    writer.add_bos_token_id(special["<|endoftext|>"])
    writer.add_pad_token_id(special["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One architecture: llama.cpp's name of it, the model's own name, what writes its vocabulary.

    `interleaved`: llama.cpp rotates neighbouring pairs of a head, where transformers rotates halves.
    """

    architecture: str
    name: str
    add_vocabulary: Callable[[gguf.GGUFWriter, Path], None]
    interleaved: bool = False


PILOT = Kind("qwen2", "pilot", add_tokenizer)


def add_architecture(writer: gguf.GGUFWriter, config: dict[str, Any], kind: Kind) -> None:
    """Writes the shape of the network from config.json."""
    rope = config.get("rope_parameters") or {}
    writer.add_name(kind.name)
    writer.add_license("apache-2.0")
    writer.add_float32("general.sampling.temp", 0.0)  # the answers are facts; a request's own temperature goes before
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    if kind.interleaved:
        writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(config.get("rope_theta") or rope["rope_theta"]))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def paired(values: np.ndarray, heads: int) -> np.ndarray:
    """A query or key matrix, its rows [heads * size], with each head's two halves interleaved."""
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def checkpoint(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The bf16 tensors of a safetensors file as float32, which numpy reads without torch."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8:start])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        if entry["dtype"] != "BF16":
            raise ValueError(f"{path}: {name} is {entry['dtype']}; the checkpoints of training are bf16")
        first, last = entry["data_offsets"]
        halves = np.frombuffer(content[start + first : start + last], dtype="<u2")
        yield name, (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def tensors(folder: Path, interleaved: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor of a checkpoint as float32 under llama.cpp's name."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for source, values in checkpoint(folder / "model.safetensors"):
        name = gguf_name(source)
        part = name.split(".")[-2]
        yield name, paired(values, heads[part]) if interleaved and part in heads else values


def exported_gguf(folder: Path, target: Path, kind: Kind = PILOT) -> None:
    """Writes `target` from the checkpoint in `folder`, atomically."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    part = target.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), kind.architecture)
    add_architecture(writer, config, kind)
    kind.add_vocabulary(writer, folder)
    for name, values in tensors(folder, kind.interleaved):
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        quantized = gguf.quants.quantize(np.ascontiguousarray(values), gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(target)


if __name__ == "__main__":
    exported_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
