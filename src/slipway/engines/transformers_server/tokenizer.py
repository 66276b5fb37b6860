"""The checkpoint's tokenizer, read with the tokenizers library: the only module of the HTTP side that imports it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class CheckpointTokenizer:
    """A tokenizers.Tokenizer with what detokenising and templates need laid out beforehand."""

    backend: Any
    bytes_of: tuple[bytes, ...]
    special: frozenset[int]
    ends: frozenset[int]
    names: dict[str, str]
    drops_first_space: bool

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        text.encode()  # a lone surrogate is a ValueError here; the library would panic or mangle it
        ids: list[int] = self.backend.encode(text, add_special_tokens=add_special).ids
        return ids

    def token_id(self, token: str) -> int | None:
        found: int | None = self.backend.token_to_id(token)
        return found


def read_tokenizer(directory: Path) -> CheckpointTokenizer:
    """Read tokenizer.json, or have Transformers convert what is there. Raises ValueError if its decoder is unknown."""
    backend = _backend(directory)
    config = _json(directory / "tokenizer_config.json")
    decoder = json.loads(backend.to_str()).get("decoder") or {}
    kinds = set(_decoder_kinds(decoder))
    added = backend.get_added_tokens_decoder()
    names = _role_names(config)
    return CheckpointTokenizer(
        backend=backend,
        bytes_of=_token_bytes(backend, kinds, {token: entry.content for token, entry in added.items()}),
        special=frozenset(token for token, entry in added.items() if entry.special),
        ends=frozenset(_ends(directory, backend.token_to_id(names["eos_token"]) if "eos_token" in names else None)),
        names=names,
        drops_first_space="Strip" in kinds or "Metaspace" in kinds,
    )


def _backend(directory: Path) -> Any:
    file = directory / "tokenizer.json"
    if file.is_file():
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(file))
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, trust_remote_code=False).backend_tokenizer


def _decoder_kinds(decoder: dict[str, Any]) -> Iterator[str]:
    if decoder.get("type") == "Sequence":
        for each in decoder["decoders"]:
            yield from _decoder_kinds(each)
    elif "type" in decoder:
        yield decoder["type"]


def _token_bytes(backend: Any, kinds: set[str], added: dict[int, str]) -> tuple[bytes, ...]:
    vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    if "ByteLevel" in kinds:
        read = byte_level_bytes
    elif kinds & {"ByteFallback", "Metaspace", "Replace"}:
        read = sentence_piece_bytes
    else:
        named = ", ".join(sorted(kinds)) or "none"
        raise ValueError(f"the tokenizer's decoder ({named}) is not byte-level or SentencePiece")
    for token, number in vocabulary.items():
        table[number] = read(token)
    for number, content in added.items():
        table[number] = content.encode()
    return tuple(table)


def byte_level_bytes(token: str) -> bytes:
    """The bytes of a token that is written in GPT-2's alphabet; others are added tokens and are their text."""
    alphabet = _byte_alphabet()
    if all(character in alphabet for character in token):
        return bytes(alphabet[character] for character in token)
    return token.encode()


@cache
def _byte_alphabet() -> dict[str, int]:
    """Printable bytes are themselves, the others are counted up from U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


def sentence_piece_bytes(token: str) -> bytes:
    """The bytes of a SentencePiece token: a byte written as <0xE4>, or text with ▁ for a blank."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode()


def _role_names(config: dict[str, Any]) -> dict[str, str]:
    names = {}
    for role in _ROLES:
        value = config.get(role)
        if isinstance(value, dict):
            value = value.get("content")
        if isinstance(value, str):
            names[role] = value
    return names


def _ends(directory: Path, from_tokenizer: int | None) -> Iterable[int]:
    """generation_config.json goes before config.json, and both before the tokenizer."""
    for name in ("generation_config.json", "config.json"):
        config = _json(directory / name)
        value = config.get("eos_token_id", config.get("text_config", {}).get("eos_token_id"))
        if isinstance(value, int):
            return [value]
        if isinstance(value, list):
            return value
    return [] if from_tokenizer is None else [from_tokenizer]


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    value = json.loads(file.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}
