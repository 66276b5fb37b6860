"""`slipway engine`, `registrations`, `register`, `unregister`, `docs`, with Xinference's flags too."""

import json
from pathlib import Path

import pytest

from slipway.cli import main

FAMILY = """
name = "my-chat"
context_length = 2048
languages = ["en"]
abilities = ["chat"]

[[specs]]
format = "ggufv2"
size = "1"
quantizations = ["q8_0"]
huggingface = "me/my-chat-GGUF"
file = "my-chat.gguf"
"""


@pytest.fixture
def family(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(FAMILY)
    return path


def test_the_matrix_of_a_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "--model-name", "qwen1.5-chat", "--size-in-billions", "0_5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "qwen1.5-chat 0.5B pytorch: none" in lines
    engines = [line.split()[1] for line in lines if line.startswith("  yes")]
    assert "llama.cpp" in engines


def test_the_matrix_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["engine", "-n", "qwen1.5-chat", "--model_size_in_billions", "7", "-f", "ggufv2", "-q", "Q4_K_M", "--json"]
    assert main([*argv, "-en", "llama_cpp"], program="xinference") == 0
    (cell,) = json.loads(capsys.readouterr().out)
    assert (cell["format"], cell["size"], cell["quantization"]) == ("ggufv2", "7", "q4_k_m")
    (verdict,) = cell["verdicts"]
    assert verdict["engine"] == "llama.cpp"
    assert verdict["can"] is verdict["here"] is True
    assert "cpu" in verdict["devices"]


def test_every_quantization_has_four_verdicts_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "-n", "llama-2-chat", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)
    assert len(cells) > 50
    assert all(len(cell["verdicts"]) == 4 for cell in cells)
    assert all(verdict["reason"] for cell in cells for verdict in cell["verdicts"])


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["-n", "qwen"], "no model named 'qwen'; nearest: "),
        (["-n", "pilot", "-s", "70"], "70"),
        (["-n", "pilot", "-f", "gguv2"], "nearest: ggufv2"),
        (["-n", "pilot", "-q", "q9"], "q9"),
        (["-n", "pilot", "-en", "vlm"], "no engine named 'vlm'; nearest: vLLM"),
        (["-n", "pilot", "-s", "big"], "expected billions of parameters"),
        ([], "--model-name"),
        (["-n", "pilot", "-e", "http://elsewhere:9997"], "run it on elsewhere"),
        (["-n", "pilot", "-ak", "s3cret"], "a key is not taken from the command line"),
    ],
)
def test_unknown_names(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", *argv]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "s3cret" not in said


def test_a_family_comes_and_goes(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "--model-type", "LLM", "--file", str(family), "--persist"], program="xinference") == 0
    assert "my-chat is registered" in capsys.readouterr().out
    assert main(["registrations", "--model-type", "LLM", "-e", "http://127.0.0.1:9997"], program="xinference") == 0
    rows = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines()}
    assert (rows["my-chat"], rows["pilot"]) == ("no", "yes")
    assert main(["engine", "-n", "my-chat"]) == 0
    assert main(["register", "-f", str(family)]) == 1
    assert "registered already" in capsys.readouterr().err
    assert main(["register", "-f", str(family), "--replace"]) == 0
    assert main(["unregister", "-t", "LLM", "--model_name", "my-chat"], program="xinference") == 0
    capsys.readouterr()
    assert main(["registrations", "--json"]) == 0
    assert "my-chat" not in {each["model_name"] for each in json.loads(capsys.readouterr().out)}


def test_a_broken_family_names_its_line_and_key(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family.write_text(FAMILY.replace("context_length = 2048", "context_length = 'long'"))
    assert main(["register", "-f", str(family)]) == 2
    said = capsys.readouterr().err
    assert "line 3" in said
    assert "context_length" in said


def test_a_file_broken_later_is_listed_with_its_fault(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    families = tmp_path / "home" / "families"
    families.mkdir(parents=True)
    (families / "bad.toml").write_text("name = ")
    assert main(["registrations"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{families / 'bad.toml'} cannot be used: ")


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["unregister", "-n", "pilot"], 1, "comes with Slipway"),
        (["unregister", "-n", "pilots"], 2, "no registered family named 'pilots'"),
        (["register", "-f", "/nowhere/x.toml"], 2, "/nowhere/x.toml"),
        (["register"], 2, "--file"),
        (["register", "-f", "x.toml", "-t", "embedding"], 2, "only LLM models are served"),
    ],
)
def test_registering_what_cannot_be(argv: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == code
    assert told in capsys.readouterr().err


def test_pages_are_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "models"
    assert main(["docs", "--check", "--output", str(output)]) == 1
    assert not output.exists()
    assert main(["docs", "--output", str(output)]) == 0
    assert main(["docs", "--check", "--output", str(output)]) == 0
    page = output / "qwen1.5-chat.rst"
    assert "- **Engines**: vLLM" in page.read_text()
    page.write_text("edited")
    capsys.readouterr()
    assert main(["docs", "--check", "--output", str(output)]) == 1
    said = capsys.readouterr().err
    assert said == f"slipway: pages in {output} are out of date: qwen1.5-chat.rst; `slipway docs` writes them\n"
