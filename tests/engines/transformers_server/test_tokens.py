"""Detokenising as tokens come, and reading a checkpoint's tokenizer from its file."""

from slipway.engines.transformers_server.tokenizer import byte_level_bytes, sentence_piece_bytes
from slipway.engines.transformers_server.tokens import Detokenizer
from tests.engines.transformers_server.fakes import END, ByteTokenizer


def pieces(data: bytes, **rules: bool) -> list[str]:
    tokenizer = ByteTokenizer(drops_first_space=rules.get("drops_first_space", False))
    detokenizer = Detokenizer(tokenizer, tokenizer.special, starts_text=rules.get("starts_text", True))
    return [detokenizer.feed(byte) for byte in data]


def test_characters_come_when_they_are_complete() -> None:
    assert pieces("é中🚄".encode()) == ["", "é", "", "", "中", "", "", "", "🚄"]


def test_what_is_no_character_is_shown_as_such_only_when_that_is_sure() -> None:
    assert pieces(b"\xe4\xb8a") == ["", "", "\ufffda"]


def test_special_tokens_between_the_bytes_of_a_character_do_no_harm() -> None:
    tokenizer = ByteTokenizer()
    detokenizer = Detokenizer(tokenizer, tokenizer.special, starts_text=True)
    assert [detokenizer.feed(token) for token in (0xE4, END, 0xB8, 0xAD, 99999)] == ["", "", "", "中", ""]


def test_the_first_space_of_sentence_piece() -> None:
    assert "".join(pieces(b"  a b", drops_first_space=True)) == " a b"
    assert "".join(pieces(b" a", drops_first_space=True, starts_text=False)) == " a"
    assert "".join(pieces(b" a")) == " a"


def test_tokens_of_byte_level_vocabularies() -> None:
    assert byte_level_bytes("ĠParis") == b" Paris"
    assert byte_level_bytes("ä¸Ń") == "中".encode()
    assert byte_level_bytes("Ċ") == b"\n"
    assert byte_level_bytes("<|a b|>") == b"<|a b|>", "an added token, not in the alphabet"


def test_tokens_of_sentence_piece_vocabularies() -> None:
    assert sentence_piece_bytes("▁▁Paris") == b"  Paris"
    assert sentence_piece_bytes("<0xE4>") == b"\xe4"
    assert sentence_piece_bytes("<0x>") == b"<0x>"
