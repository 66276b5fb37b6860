"""Trains the byte-level BPE of `pilot` so that a word has the same tokens wherever it stands.

Merges are learned inside words, inside single Han characters and inside runs of punctuation. Only afterwards are
merges of a space with a frequent whole word added, so a name has the same tokens after a space and after a quote.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import regex
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 2048
SPACED_WORDS = 160
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PIECES = r"\p{Han}|[^\P{L}\p{Han}]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(pattern: str) -> pre_tokenizers.Sequence:
    """Splits text by `pattern`, then writes its bytes as printable characters (GPT-2's way)."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def learned_merges(
    texts: list[str], merges: int, pieces: pre_tokenizers.PreTokenizer, alphabet: list[str]
) -> list[tuple[str, str]]:
    """At most `merges` merges of the `alphabet`, learned inside `pieces`."""
    trainee = Tokenizer(models.BPE())
    trainee.pre_tokenizer = pieces
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + merges, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    trainee.train_from_iterator(texts, trainer)
    model = json.loads(trainee.to_str())["model"]
    return [(left, right) for left, right in model["merges"]]


def frequent_words(texts: list[str], known: set[str], count: int) -> list[str]:
    """The `count` most frequent words after a space that are one token already."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(regex.findall(r" ([A-Za-z]+)", text))
    words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if word in known]
    return words[:count]


def trained_tokenizer(texts: Iterable[str], template: str) -> PreTrainedTokenizerFast:
    """A tokenizer of exactly VOCABULARY entries, the specials last."""
    corpus = list(texts)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learned_merges(corpus, VOCABULARY - len(SPECIALS) - 256 - SPACED_WORDS, byte_level(PIECES), alphabet)
    words = frequent_words(corpus, {left + right for left, right in merges}, SPACED_WORDS)
    merges += [("Ġ", word) for word in words]
    tokens = alphabet + list(dict.fromkeys(left + right for left, right in merges))
    tokens += [f"<|unused_{index}|>" for index in range(VOCABULARY - len(SPECIALS) - len(tokens))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = byte_level(QWEN2)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(SPECIALS)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",  # noqa: S106
        pad_token="<|endoftext|>",  # noqa: S106
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = template
    return fast


def saved_tokenizer(fast: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    fast.save_pretrained(folder)
    template = folder / "chat_template.jinja"
    template.write_text(fast.chat_template, encoding="utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("backend", None)
    config |= {"tokenizer_class": "Qwen2Tokenizer", "chat_template": fast.chat_template, "add_prefix_space": False}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
