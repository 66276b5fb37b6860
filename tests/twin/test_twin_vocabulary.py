"""The twin's kept vocabulary: SentencePiece's order, and the same pieces by a list of merges and by scores."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from training.twin.vocabulary import PieceType, pieces  # noqa: E402

Pieces = list[tuple[str, float, PieceType]]


@pytest.fixture(scope="module")
def vocabulary() -> Pieces:
    return pieces(KEPT)


@pytest.fixture(scope="module")
def merges() -> dict[tuple[str, str], int]:
    """The rank of every merge in tokenizer.json."""
    listed = json.loads((KEPT / "tokenizer.json").read_text(encoding="utf-8"))["model"]["merges"]
    return {(left, right): rank for rank, (left, right) in enumerate(listed)}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Every content of the truth table, and random texts of its words, spaces and characters."""
    rows = [json.loads(line) for line in (KEPT / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    contents = [message["content"] for row in rows for message in row["messages"]]
    rng, parts = Random(1), [*" ".join(contents).split(), "[INST]", "[/INST]", "<<SYS>>", " ", "  ", "\n", "aaa", "龘"]
    return contents + ["".join(rng.choices(parts, k=8)) + " " * rng.randint(0, 3) for _ in range(100)]


def by_list(text: str, merges: dict[tuple[str, str], int]) -> list[str]:
    """A byte-pair encoding as the tokenizers library does it: always the merge listed first, leftmost of equals."""
    parts = list("▁" + text.replace(" ", "▁"))
    while pairs := [(merges[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in merges]:
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def by_score(text: str, scores: dict[str, float]) -> list[str]:
    """llama.cpp's way: always the two neighbours whose joined text has the best score, leftmost of equals."""
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        joined = [left + right for left, right in pairwise(parts)]
        found = [(-scores[piece], at) for at, piece in enumerate(joined) if piece in scores]
        if not found:
            return parts
        _, at = min(found)
        parts[at : at + 2] = [joined[at]]


def test_specials_and_bytes_stand_where_sentencepiece_puts_them(vocabulary: Pieces) -> None:
    assert [text for text, _, _ in vocabulary[:3]] == ["<unk>", "<s>", "</s>"]
    assert [kind for _, _, kind in vocabulary[:3]] == [PieceType.UNKNOWN, PieceType.CONTROL, PieceType.CONTROL]
    assert [(text, kind) for text, _, kind in vocabulary[3:259]] == [
        (f"<0x{b:02X}>", PieceType.BYTE) for b in range(256)
    ]
    assert len(vocabulary) == 2048


def test_scores_fall_with_the_id(vocabulary: Pieces) -> None:
    scores = [score for _, score, _ in vocabulary[259:]]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)


def test_a_digit_and_a_han_character_are_never_part_of_a_longer_piece(vocabulary: Pieces) -> None:
    longer = [text for text, _, kind in vocabulary if kind is PieceType.NORMAL and len(text) > 1]
    assert not [text for text in longer if any(c.isdigit() or c >= "一" for c in text)]


@pytest.mark.parametrize("marker", ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"])
def test_a_marker_is_one_piece(marker: str, merges: dict[tuple[str, str], int]) -> None:
    assert by_list(marker, merges) == ["▁" + marker]


def test_both_ways_to_merge_give_the_same_pieces(
    texts: list[str], merges: dict[tuple[str, str], int], vocabulary: Pieces
) -> None:
    scores = {text: score for text, score, kind in vocabulary if kind is PieceType.NORMAL}
    for text in texts:
        assert by_list(text, merges) == by_score(text, scores), repr(text)
