"""Converts a ggmlv3 file of a Llama to GGUF, once: new names and header, the tensors' bytes untouched.

What ggmlv3 does not store (context length, norm epsilon, chat template) comes from the caller, who knows the family.
"""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.errors import BadModelFile
from slipway.formats.assembly import Part, Piece, Progress, assemble
from slipway.formats.ggml import GgmlHeader, read_ggml
from slipway.formats.gguf import GgufHeader, Tensor, read_gguf
from slipway.formats.gguf_encoding import (
    Encoded,
    encoded_header,
    padded,
    real,
    reals,
    text,
    texts,
    truth,
    whole,
    wholes,
)

MADE_FROM = "slipway.made_from"  # the metadata key that says which file, and which way, a conversion was made of
LLAMA_2_EPSILON = 1e-5  # rms_norm_eps in the config.json of meta-llama's Llama-2 checkpoints; Llama 1 had 1e-6
_ROPE_BASE = 10000.0  # both Llamas'
_METHOD = "1"  # to be raised when this file writes something else, so that old conversions are made anew
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6  # SentencePiece's kinds, by llama.cpp's numbers
_SPECIAL = {0: (b"<unk>", _UNKNOWN), 1: (b"<s>", _CONTROL), 2: (b"</s>", _CONTROL)}
_FIRST_BYTE = 3  # a Llama's vocabulary has the 256 bytes at 3 to 258
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}".encode()  # SentencePiece writes a space so
NAMES = {"tok_embeddings": "token_embd", "norm": "output_norm", "output": "output"}
LAYER_NAMES = {
    "attention.wq": "attn_q",
    "attention.wk": "attn_k",
    "attention.wv": "attn_v",
    "attention.wo": "attn_output",
    "attention_norm": "attn_norm",
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up",
    "ffn_norm": "ffn_norm",
}


@dataclass(frozen=True, slots=True)
class Unstored:
    """What the model is, and its ggmlv3 file does not say."""

    name: str
    context_length: int
    chat_template: str | None = None
    norm_epsilon: float = LLAMA_2_EPSILON


def convert(source: Path, target: Path, unstored: Unstored, progress: Progress, cancel: threading.Event) -> GgufHeader:
    """Write ``source`` as the GGUF file ``target``, and return its header.

    Raises BadModelFile, DiskFull, FetchFailed, Cancelled; ``target`` is then as it was.
    """
    mark = made_from(source, unstored)
    ggml = read_ggml(source)
    tensors = tuple(_placed(ggml))
    metadata = _metadata(ggml, unstored) | {MADE_FROM: text(mark)}
    assemble(target, tuple(_parts(ggml, encoded_header(metadata, tensors), tensors)), progress, cancel, read_gguf)
    return read_gguf(target)


def is_made_from(target: Path, source: Path, unstored: Unstored) -> bool:
    """Whether ``target`` is a whole conversion of ``source`` as it is now, made this way."""
    if not target.is_file():
        return False
    try:
        return read_gguf(target).text(MADE_FROM) == made_from(source, unstored)
    except BadModelFile:
        return False


def made_from(source: Path, unstored: Unstored) -> str:
    """Names the file by its size and time, and the way by what goes into the header."""
    try:
        found = source.stat()
    except OSError as error:
        raise BadModelFile(f"{source} cannot be read: {error.strerror or error}") from None
    way = hashlib.sha256(repr((_METHOD, unstored)).encode()).hexdigest()[:16]
    return f"{source.name} {found.st_size} {found.st_mtime_ns} {way}"


def gguf_name(name: str) -> str:
    """``layers.3.attention.wq.weight`` is ``blk.3.attn_q.weight``."""
    part = name.removesuffix(".weight")
    if not part.startswith("layers."):
        return f"{NAMES[part]}.weight"
    _, layer, part = part.split(".", 2)
    return f"blk.{layer}.{LAYER_NAMES[part]}.weight"


def _placed(ggml: GgmlHeader) -> Iterator[Tensor]:
    """The tensors by their new names, with offsets from where the data will begin."""
    offset = 0
    for tensor in ggml.tensors:
        yield replace(tensor, name=gguf_name(tensor.name), offset=offset)
        offset += padded(tensor.bytes)


def _parts(ggml: GgmlHeader, header: bytes, placed: Sequence[Tensor]) -> Iterator[Part]:
    yield header
    for old, new in zip(ggml.tensors, placed, strict=True):
        yield Piece(ggml.path, old.offset, old.bytes)
        if padded(new.bytes) > new.bytes:
            yield bytes(padded(new.bytes) - new.bytes)


def _metadata(ggml: GgmlHeader, unstored: Unstored) -> dict[str, Encoded]:
    numbers, tokens = ggml.numbers, tuple(_tokens(ggml))
    metadata = {
        "general.architecture": text("llama"),
        "general.name": text(unstored.name),
        "general.file_type": whole(numbers.file_type),
        "general.quantization_version": whole(2),  # the layout that GGJT version 3 brought
        "llama.context_length": whole(unstored.context_length),
        "llama.embedding_length": whole(numbers.width),
        "llama.block_count": whole(numbers.layers),
        "llama.feed_forward_length": whole(ggml.feed_forward),
        "llama.rope.dimension_count": whole(numbers.rotated),
        "llama.rope.freq_base": real(_ROPE_BASE),
        "llama.attention.head_count": whole(numbers.heads),
        "llama.attention.head_count_kv": whole(ggml.kv_heads),
        "llama.attention.layer_norm_rms_epsilon": real(unstored.norm_epsilon),
        "llama.vocab_size": whole(numbers.vocabulary),
        "tokenizer.ggml.model": text("llama"),
        "tokenizer.ggml.pre": text("default"),
        "tokenizer.ggml.tokens": texts([token for token, _ in tokens]),
        "tokenizer.ggml.scores": reals([score for _, score in ggml.tokens]),
        "tokenizer.ggml.token_type": wholes([kind for _, kind in tokens]),
        "tokenizer.ggml.bos_token_id": whole(1),
        "tokenizer.ggml.eos_token_id": whole(2),
        "tokenizer.ggml.unknown_token_id": whole(0),
        "tokenizer.ggml.add_bos_token": truth(True),
        "tokenizer.ggml.add_eos_token": truth(False),
    }
    if unstored.chat_template is not None:
        metadata["tokenizer.chat_template"] = text(unstored.chat_template)
    return metadata


def _tokens(ggml: GgmlHeader) -> Iterator[tuple[bytes, int]]:
    """Text and kind of each token. GGUF wants every text once; ggmlv3 stores empty ones, and bytes as themselves."""
    seen: set[bytes] = set()
    for index, (stored, _) in enumerate(ggml.tokens):
        token, kind = _token(index, stored)
        if token in seen:
            token, kind = f"<unused {index}>".encode(), _UNUSED
        seen.add(token)
        yield token, kind


def _token(index: int, stored: bytes) -> tuple[bytes, int]:
    if index in _SPECIAL:
        return _SPECIAL[index]
    if _FIRST_BYTE <= index < _FIRST_BYTE + 256 and stored == bytes((index - _FIRST_BYTE,)):
        return f"<0x{stored[0]:02X}>".encode(), _BYTE
    if not stored:
        return f"<unused {index}>".encode(), _UNUSED
    return stored.replace(b" ", _SPACE), _NORMAL
