"""Writes tiny GGUF and safetensors files with struct alone: well-formed ones, and the beginnings of bad ones."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

U8, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 5, 6, 7, 8, 9, 10
_FORMS = {U8: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}
_TENSOR_BYTES = {0: (1, 4), 1: (1, 2), 8: (32, 34)}  # f32, f16, q8_0: weights a block, bytes a block

Scalar = int | float | bool | str
Typed = tuple[int, Scalar] | tuple[int, int, Sequence[Scalar]]  # (type, value) or (ARRAY, element type, values)

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind: int, value: Scalar) -> bytes:
    return text(value) if isinstance(value, str) else struct.pack(_FORMS[kind], value)


def typed(value: Typed) -> bytes:
    if len(value) == 2:
        return struct.pack("<I", value[0]) + scalar(value[0], value[1])
    _, kind, elements = value
    body = b"".join(scalar(kind, each) for each in elements)
    return struct.pack("<IIQ", ARRAY, kind, len(elements)) + body


def metadata(**changes: Typed | None) -> dict[str, Typed]:
    """The metadata of a two-layer Qwen2; ``general__name`` stands for ``general.name``, None leaves a key out."""
    values: dict[str, Typed] = {
        "general.architecture": (STRING, "qwen2"),
        "general.name": (STRING, "Tiny Model"),
        "general.file_type": (U32, 7),
        "qwen2.context_length": (U32, 512),
        "qwen2.embedding_length": (U32, 64),
        "qwen2.block_count": (U32, 2),
        "qwen2.feed_forward_length": (U32, 128),
        "qwen2.attention.head_count": (U32, 4),
        "qwen2.attention.head_count_kv": (U32, 2),
        "qwen2.attention.layer_norm_rms_epsilon": (F32, 1e-6),
        "qwen2.rope.freq_base": (F32, 10000.0),
        "tokenizer.ggml.model": (STRING, "gpt2"),
        "tokenizer.ggml.pre": (STRING, "qwen2"),
        "tokenizer.ggml.tokens": (ARRAY, STRING, vocabulary()),
        "tokenizer.ggml.token_type": (ARRAY, I32, [1] * 256 + [3, 3, 3] + [1]),
        "tokenizer.ggml.merges": (ARRAY, STRING, ["a b"]),
        "tokenizer.ggml.eos_token_id": (U32, 258),
        "tokenizer.chat_template": (STRING, TEMPLATE),
    }
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            values.pop(key)
        else:
            values[key] = value
    return values


def vocabulary() -> list[str]:
    """The 256 bytes in GPT-2's printable spelling, three control tokens, one merge."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [spelling[byte] for byte in range(256)] + ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "ab"]


def shapes() -> dict[str, tuple[int, tuple[int, ...]]]:
    """Tensor name -> (type, shape) of the two-layer Qwen2 above, fastest dimension first."""
    result: dict[str, tuple[int, tuple[int, ...]]] = {
        "token_embd.weight": (8, (64, 260)),
        "output_norm.weight": (0, (64,)),
    }
    for layer in range(2):
        block = f"blk.{layer}."
        matrices = {"attn_q": (64, 64), "attn_k": (64, 32), "attn_v": (64, 32), "attn_output": (64, 64)}
        matrices |= {"ffn_gate": (64, 128), "ffn_up": (64, 128), "ffn_down": (128, 64)}
        result |= {f"{block}{name}.weight": (8, shape) for name, shape in matrices.items()}
        result |= {f"{block}attn_{each}.bias": (0, (size,)) for each, size in (("q", 64), ("k", 32), ("v", 32))}
        result |= {f"{block}{name}.weight": (0, (64,)) for name in ("attn_norm", "ffn_norm")}
    return result


def gguf(
    values: Mapping[str, Typed] | None = None,
    tensors: Mapping[str, tuple[int, tuple[int, ...]]] | None = None,
    version: int = 3,
) -> bytes:
    """A whole GGUF file, its weights zero."""
    values = metadata() if values is None else values
    tensors = shapes() if tensors is None else tensors
    infos, data = b"", b""
    for name, (kind, shape) in tensors.items():
        infos += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape) + struct.pack("<IQ", kind, len(data))
        data += bytes(padded(tensor_bytes(kind, shape)))
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    header += b"".join(text(key) + typed(value) for key, value in values.items()) + infos
    return header.ljust(padded(len(header)), b"\0") + data


def tensor_bytes(kind: int, shape: Sequence[int]) -> int:
    block, size = _TENSOR_BYTES[kind]
    count = 1
    for each in shape:
        count *= each
    return count // block * size


def padded(size: int) -> int:
    return -(-size // 32) * 32


def safetensors(tensors: Mapping[str, tuple[str, Sequence[int], int]]) -> bytes:
    """Tensor name -> (dtype, shape, bytes), the weights zero."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    return safetensors_with(header, bytes(offset))


def safetensors_with(header: object, data: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


CONFIG: dict[str, object] = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "vocab_size": 32,
    "max_position_embeddings": 256,
}
WEIGHTS: dict[str, tuple[str, Sequence[int], int]] = {
    "model.embed_tokens.weight": ("BF16", (32, 8), 512),
    "model.layers.0.self_attn.q_proj.weight": ("BF16", (8, 8), 128),
    "model.layers.0.self_attn.q_proj.bias": ("BF16", (8,), 16),
}


def checkpoint_files() -> dict[str, bytes]:
    """The files of a tiny checkpoint, as a hub would hold them, pickles and code included."""
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "generation_config.json": b"{}",
        "tokenizer.json": b"{}",
        "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
        "model.safetensors": safetensors(WEIGHTS),
        "pytorch_model.bin": b"PK\x03\x04 a pickle",
        "modeling_tiny.py": b"raise SystemExit",
        "README.md": b"# tiny",
    }


def write_checkpoint(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in checkpoint_files().items():
        if not name.endswith((".bin", ".py")):
            (directory / name).write_bytes(data)
    return directory
