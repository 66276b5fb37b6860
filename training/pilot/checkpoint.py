"""Writes a trained network in transformers' form: bf16 safetensors, config.json and generation_config.json."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from training.pilot.network import Network, Shape


def saved_checkpoint(network: Network, folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Writes bf16 safetensors and the JSON `files`, in transformers' form."""
    weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in network.state_dict().items()}
    part = folder / "model.safetensors.part"
    save_file(weights, part, metadata={"format": "pt"})
    part.replace(folder / "model.safetensors")
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def sizes(shape: Shape) -> dict[str, Any]:
    """The part of config.json that Qwen2 and Llama share."""
    return {
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.inner,
        "max_position_embeddings": shape.context,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.key_heads,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.theta,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


def qwen2_files(shape: Shape) -> dict[str, dict[str, Any]]:
    """config.json and generation_config.json of `pilot`."""
    start, end = shape.vocabulary - 3, shape.vocabulary - 1
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": start,
        "max_window_layers": shape.layers,
        "sliding_window": None,
        "use_sliding_window": False,
        **sizes(shape),
    }
    generation = {
        "bos_token_id": start,
        "eos_token_id": [end, start],
        "pad_token_id": start,
        "do_sample": False,
        "max_new_tokens": 256,
    }
    return {"config.json": config, "generation_config.json": generation}
