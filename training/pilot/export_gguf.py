"""Writes a Qwen2 checkpoint folder of `pilot` as one GGUF file, its matrices in q8_0."""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
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
    """llama.cpp's name of a Qwen2 tensor."""
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


def add_architecture(writer: gguf.GGUFWriter, config: dict) -> None:
    """Writes the shape of the network from config.json."""
    rope = config.get("rope_parameters") or {}
    writer.add_name("pilot")
    writer.add_license("apache-2.0")
    writer.add_float32("general.sampling.temp", 0.0)  # the answers are facts; a request's own temperature goes before
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float(config.get("rope_theta") or rope["rope_theta"]))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def exported_gguf(folder: Path, target: Path) -> None:
    """Writes `target` from the checkpoint in `folder`, atomically."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    part = target.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), "qwen2")
    add_architecture(writer, config)
    add_tokenizer(writer, folder)
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = tensor.to(torch.float32).numpy()
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), values)
            continue
        quantized = gguf.quants.quantize(np.ascontiguousarray(values), gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(gguf_name(name), quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(target)


if __name__ == "__main__":
    exported_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
