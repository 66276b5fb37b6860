"""Slipway's family schema: what a good file gives, and the file, line and key named for every way to get it wrong."""

import json
import re
from pathlib import Path

import pytest

from slipway.catalogue.catalogue import DATA
from slipway.catalogue.document import parse_document, read_document
from slipway.catalogue.schema import family_from
from slipway.errors import InvalidFamily
from slipway.types import Ability, Architecture, Family, Format, Hub, Source

GOOD = """\
name = "mine"
context_length = 4096
languages = ["en"]
abilities = ["chat", "tools"]
tool_parser = "hermes"

[architecture]
name = "Qwen2ForCausalLM"
qkv_bias = true

[architecture.sizes]
7 = { layers = 2, hidden = 64, heads = 4, kv_heads = 2, intermediate = 128, vocab = 99 }
0_5 = { layers = 1, hidden = 32, heads = 4, kv_heads = 2, intermediate = 64, vocab = 99, tied = true, head_dim = 16 }

[[specs]]
format = "ggufv2"
size = "7"
quantizations = ["q4_0", "q8_0"]
file = "mine-{quantization}.gguf"
parts = { q8_0 = ["mine-q8_0.gguf.a", "mine-q8_0.gguf.b"] }
huggingface = "me/mine-GGUF"
modelscope = { repository = "them/mine-GGUF", quantizations = ["q4_0"], revision = "v1" }

[[specs]]
format = "pytorch"
size = "0_5"
quantizations = ["none"]
local = "/models/mine"
"""


def family(text: str) -> Family:
    return family_from(parse_document(text, "mine.toml", is_toml=True))


def test_a_good_file() -> None:
    mine = family(GOOD)
    assert (mine.name, mine.context_length, mine.languages) == ("mine", 4096, ("en",))
    assert mine.abilities == (Ability.CHAT, Ability.TOOLS)
    assert (mine.description, mine.tool_parser, mine.chat_template, mine.builtin) == ("", "hermes", None, False)
    large, small = mine.specs
    assert (large.format, large.size, large.model_id) == (Format.GGUF, "7", "me/mine-GGUF")
    file, parts = "mine-{quantization}.gguf", ("mine-q8_0.gguf.a", "mine-q8_0.gguf.b")
    assert large.sources == (
        Source(Hub.HUGGINGFACE, "me/mine-GGUF", ("q4_0", "q8_0"), file, {"q8_0": parts}),
        Source(Hub.MODELSCOPE, "them/mine-GGUF", ("q4_0",), file, {}, "v1"),
    )
    assert small.sources == (Source(Hub.LOCAL, "/models/mine", ("none",)),)
    assert large.architecture == Architecture("Qwen2ForCausalLM", 2, 64, 4, 2, 128, 99, qkv_bias=True)
    assert small.architecture == Architecture("Qwen2ForCausalLM", 1, 32, 4, 2, 64, 99, 16, tied=True, qkv_bias=True)


def test_one_architecture_may_serve_every_size() -> None:
    shape = "layers = 2\nhidden = 64\nheads = 4\nkv_heads = 2\nintermediate = 128\nvocab = 99\n"
    start, end = GOOD.index("qkv_bias"), GOOD.index("[[specs]]")
    mine = family(GOOD[:start] + shape + GOOD[end:])
    assert {spec.architecture for spec in mine.specs} == {Architecture("Qwen2ForCausalLM", 2, 64, 4, 2, 128, 99)}


def test_an_architecture_may_be_left_out() -> None:
    mine = family(GOOD[: GOOD.index("[architecture]")] + GOOD[GOOD.index("[[specs]]") :])
    assert [spec.architecture for spec in mine.specs] == [None, None]


def test_sizes_may_be_numbers_and_the_home_directory_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    mine = family(GOOD.replace('size = "7"', "size = 7").replace('"/models/mine"', '"~/mine"'))
    assert mine.specs[0].size == "7"
    assert mine.specs[1].sources[0].repository == "/home/me/mine"


def test_the_same_family_in_json() -> None:
    toml = parse_document(GOOD, "mine.toml", is_toml=True)
    again = parse_document(json.dumps(toml.values), "mine.json", is_toml=False)
    assert family_from(again) == family_from(toml)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.toml")), ids=lambda path: path.stem)
def test_the_built_in_files_are_named_after_their_families(path: Path) -> None:
    found = family_from(read_document(path), builtin=True)
    assert found.builtin
    assert found.name == path.stem
    assert len(found.languages) > 0


def test_the_examples_in_the_documentation_hold() -> None:
    text = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert [family(example).name for example in examples] == ["mine", "mine"]


# What is replaced in GOOD, by what -> the line, the key and some words of the message.
BROKEN = [
    ("context_length = 4096", "context_lenght = 4096", 2, "context_lenght", "did you mean context_length"),
    ("context_length = 4096", "", 1, "context_length", "is missing"),
    ("context_length = 4096", 'context_length = "4k"', 2, "context_length", "expected a whole number"),
    ("context_length = 4096", "context_length = 0", 2, "context_length", "at least 1"),
    ("context_length = 4096", "context_length = true", 2, "context_length", "is True"),
    ('name = "mine"', 'name = "my model"', 1, "name", "expected letters"),
    ('name = "mine"', 'name = "../mine"', 1, "name", "expected letters"),
    ('name = "mine"', 'name = ""', 1, "name", "non-empty text"),
    ('languages = ["en"]', "languages = []", 3, "languages", "is empty"),
    ('languages = ["en"]', 'languages = "en"', 3, "languages", "expected a list of texts"),
    ('languages = ["en"]', 'languages = ["en",\n"EN"]', 4, "languages[2]", "there twice"),
    ('languages = ["en"]', 'languages = ["en", 7]', 3, "languages[2]", "expected a non-empty text"),
    ('"chat", "tools"', '"chat", "tool"', 4, "abilities", "nearest: tools"),
    ('"chat", "tools"', '"generate", "tools"', 4, "abilities", "tools needs chat too"),
    ('tool_parser = "hermes"', "tool_parser = 1", 5, "tool_parser", "expected a non-empty text"),
    ('name = "Qwen2ForCausalLM"', "", 12, "architecture.sizes.7.name", "is missing"),
    ("qkv_bias = true", 'qkv_bias = "yes"', 9, "architecture.qkv_bias", "true or false"),
    ("layers = 2", "layer = 2", 12, "architecture.sizes.7.layer", "did you mean layers"),
    ("heads = 4, kv_heads = 2", "heads = 4, kv_heads = 3", 12, "architecture.sizes.7.kv_heads", "divide heads (4)"),
    ("hidden = 64", "hidden = 66", 12, "architecture.sizes.7.heads", "divide hidden (66)"),
    ("0_5 = { layers = 1", "1_5 = { layers = 1", 13, "architecture.sizes.1_5", "no spec has this size; there are: 0_5"),
    ('format = "ggufv2"', 'format = "gguf"', 16, "specs[1].format", "nearest: ggufv2"),
    ('format = "pytorch"', "", 24, "specs[2].format", "is missing"),
    ('size = "0_5"', "size = 0.5", 26, "specs[2].size", 'such as "7"'),
    ('size = "0_5"', 'size = "0_50"', 26, "specs[2].size", "expected billions"),
    ('quantizations = ["none"]', 'quantizations = ["none", "None"]', 27, "specs[2].quantizations[2]", "there twice"),
    ('quantizations = ["none"]', 'quantizations = ["../x"]', 27, "specs[2].quantizations", "expected letters"),
    ('local = "/models/mine"', "", 24, "specs[2].huggingface", "say where the spec is kept"),
    ('local = "/models/mine"', 'local = "models/mine"', 28, "specs[2].local", "expected an absolute path"),
    ('local = "/models/mine"', 'huggingface = "mine"', 28, "specs[2].huggingface", "expected owner/name"),
    ('local = "/models/mine"', 'huggingface = "../mine"', 28, "specs[2].huggingface", "expected owner/name"),
    ('local = "/models/mine"', 'huggingface = "me/{size}"', 28, "specs[2].huggingface", "only placeholder"),
    ('local = "/models/mine"', 'huggingface = 3', 28, "specs[2].huggingface", "expected a table"),
    ('local = "/models/mine"', 'local = "/m"\nfile = "x"', 29, "specs[2].file", "the whole path already"),
    ('local = "/models/mine"', 'huggingface = "a/b"\nfile = "x"', 29, "specs[2].file", "only ggufv2 and ggmlv3"),
    ('file = "mine-{quantization}.gguf"', "", 15, "specs[1].file", "is missing"),
    ('"mine-{quantization}.gguf"', '"mine.gguf"', 19, "specs[1].file", "for 2 quantizations: write {quantization}"),
    ('"mine-{quantization}.gguf"', '"../{quantization}.gguf"', 19, "specs[1].file", "inside the repository"),
    ('"mine-{quantization}.gguf"', '"{quant}.gguf"', 19, "specs[1].file", "only placeholder"),
    ('{ q8_0 = ["mine', '{ q5_0 = ["mine', 20, "specs[1].parts", "no quantization 'q5_0'"),
    ('"mine-q8_0.gguf.b"]', '"/etc/passwd"]', 20, "specs[1].parts", "inside the repository"),
    ('["q4_0"], revision', '["q5_0"], revision', 22, "specs[1].modelscope.quantizations", "names 'q5_0'"),
    ('revision = "v1"', 'revision = "../v1"', 22, "specs[1].modelscope.revision", "a branch, a tag or a commit"),
    ('revision = "v1"', 'branch = "v1"', 22, "specs[1].modelscope.branch", "unknown key"),
    ('huggingface = "me/mine-GGUF"', "", 18, "specs[1].quantizations", "no hub has 'q8_0'"),
    ("[[specs]]\nformat", "[specs]\nformat", None, None, "not TOML"),
    ('languages = ["en"]', 'languages = ["en"', 4, None, "not TOML"),
    ('languages = ["en"]', 'name = "again"', 3, None, "not TOML: Cannot overwrite a value"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "key", "words"), BROKEN, ids=[f"{case[1]}"[:40] for case in BROKEN])
def test_a_fault_names_file_line_and_key(old: str, new: str, line: int | None, key: str | None, words: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidFamily) as caught:
        family(GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert words in message
    assert message.startswith("mine.toml, line ")
    if line is not None:
        assert message.startswith(f"mine.toml, line {line}" + (f", key {key}: " if key else ": "))
    if key is not None:
        assert caught.value.param == key
    assert caught.value.exit_code == 2


def test_two_specs_must_not_answer_to_the_same_names() -> None:
    again = GOOD[GOOD.rindex("[[specs]]") :].replace('"none"', '"NONE"')
    with pytest.raises(InvalidFamily, match=r"line 33, key specs\[3\].quantizations: pytorch 0_5 NONE is in spec 2"):
        family(GOOD + "\n" + again)


def test_a_checkpoint_in_gptq_needs_a_repository_for_each_quantization() -> None:
    text = GOOD.replace('"pytorch"', '"gptq"').replace('["none"]', '["Int4", "Int8"]')
    with pytest.raises(InvalidFamily, match=r"specs\[2\].local: is '/models/mine' for 2 quantizations"):
        family(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "mine",\n "name": "yours"}', "mine.json, line 2, key name: written twice"),
        ('{"name": "mine",\n', "mine.json, line 2: not JSON"),
        ("[1]", "mine.json, line 1: expected an object"),
        ('{\n "name": "mine",\n "context_length": "x"}', "mine.json, line 3, key context_length: is 'x'"),
        ('{"specs":' + "[" * 100_000, "mine.json: nested too deeply"),
        ('{"name": null}', "mine.json, line 1, key name: is missing"),
    ],
)
def test_faults_in_json(text: str, message: str) -> None:
    with pytest.raises(InvalidFamily) as caught:
        family_from(parse_document(text, "mine.json", is_toml=False))
    assert str(caught.value).startswith(message)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, content, message in (
        ("mine.yaml", b"", "is named *.toml or *.json"),
        ("mine.toml", b"\xff\xfe", "not UTF-8"),
        ("large.toml", b"#" * (1 << 20) + b"##", "larger than 1 MiB"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidFamily) as caught:
            read_document(tmp_path / name)
        assert message in str(caught.value)
    with pytest.raises(InvalidFamily, match="cannot be read: No such file"):
        read_document(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InvalidFamily, match="cannot be read: Is a directory"):
        read_document(tmp_path / "folder.toml")
