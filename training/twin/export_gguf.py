"""Writes the twin's checkpoint folder as one GGUF file of the architecture `llama`, its matrices in q8_0."""

import sys
from pathlib import Path

import gguf
from training.pilot.export_gguf import Kind, exported_gguf
from training.twin.vocabulary import pieces


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path) -> None:
    """Writes pieces, scores, types, special tokens and the chat template."""
    texts, scores, types = zip(*pieces(folder), strict=True)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types([gguf.TokenType(kind) for kind in types])
    writer.add_unk_token_id(texts.index("<unk>"))
    writer.add_bos_token_id(texts.index("<s>"))
    writer.add_eos_token_id(texts.index("</s>"))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))


TWIN = Kind("llama", "twin", add_vocabulary, interleaved=True)

if __name__ == "__main__":
    exported_gguf(Path(sys.argv[1]), Path(sys.argv[2]), TWIN)
