"""Trains the twin's tokenizer: a BPE over characters with bytes to fall back on, in the order of a SentencePiece model.

Engines read such a vocabulary in two ways: transformers merges by a list of merges, llama.cpp any two neighbours whose
joined text is a piece, the best score first. Both give the same pieces because the list holds every way to split every
piece. As in `pilot`, merges are learnt inside words only, then `▁` is merged with frequent words.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from training.pilot.tokenizer import frequent_words, learned_merges
from transformers import PreTrainedTokenizerFast

SPECIALS = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MARKERS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
SPACE = "▁"
VOCABULARY = 2048
SPACED_WORDS = 230
RAREST = 20  # a character seen less often is written in bytes


def marker_pieces() -> list[str]:
    """Llama 2's markers, each grown from the left, so that an engine's merges always arrive at the whole."""
    grown = [marker[:end] for marker in MARKERS for end in range(2, len(marker) + 1)]
    return list(dict.fromkeys(grown)) + [SPACE + marker for marker in MARKERS]


def characters(texts: list[str]) -> list[str]:
    """The space and every character that is frequent in `texts` or part of a marker; a new line stays a byte."""
    counts = Counter(character for text in texts for character in text)
    counts.update({character: RAREST for marker in MARKERS for character in marker})
    kept = [c for c, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if count >= RAREST]
    return [SPACE] + [c for c in kept if not c.isspace() and c != SPACE]


def learned_pieces(texts: list[str], count: int) -> list[str]:
    """About `count` pieces of more than one character, the ones to merge first before the others."""
    only_words = pre_tokenizers.Split(Regex("[A-Za-z]+"), behavior="removed", invert=True)
    letters = [chr(code) for first in "Aa" for code in range(ord(first), ord(first) + 26)]
    markers = marker_pieces()
    merges = learned_merges(texts, count - SPACED_WORDS - len(markers), only_words, letters)
    words = ["".join(merge) for merge in merges]
    return list(
        dict.fromkeys([*markers, *words, *(SPACE + w for w in frequent_words(texts, set(words), SPACED_WORDS))])
    )


def all_merges(learned: list[str], known: set[str]) -> list[tuple[str, str]]:
    """Every way to make a learned piece of two known ones, in the order of the pieces."""
    splits = ((piece[:cut], piece[cut:]) for piece in learned for cut in range(1, len(piece)))
    return [(left, right) for left, right in splits if left in known and right in known]


def trained_backend(texts: list[str]) -> Tokenizer:
    """A tokenizer of exactly VOCABULARY entries: specials, bytes, learned pieces, characters."""
    single = characters(texts)
    learned = learned_pieces(texts, VOCABULARY - len(SPECIALS) - len(BYTES) - len(single))
    pieces = [*SPECIALS, *BYTES, *learned, *single]
    pieces += [f"<unused_{index}>" for index in range(VOCABULARY - len(pieces))]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    merges = all_merges(learned, {*learned, *single})
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))  # noqa: S106
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens(SPECIALS)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return backend


def saved_tokenizer(texts: Iterable[str], template: str, folder: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja.

    The class is the plain one: transformers' LlamaTokenizer drops the normalizer of tokenizer.json and then takes
    a leading space for the one that is always put first.
    """
    fast = PreTrainedTokenizerFast(
        tokenizer_object=trained_backend(list(texts)),
        unk_token="<unk>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        pad_token="</s>",  # noqa: S106
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("backend", None)
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
