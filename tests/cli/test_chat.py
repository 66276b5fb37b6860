"""`slipway chat` and `generate` against the stub: which model, what is asked, what is printed."""

import io
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from slipway.cli import main
from slipway.commands.conversation import Conversation, Speaker, continue_texts, converse, tell
from slipway.errors import BadRequest
from tests.cli.stub import Stub, delta, error, model

DONE = "data: [DONE]"


def said(*texts: str) -> list[str]:
    return [*(delta(text) for text in texts), DONE]


def test_one_question(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.events = said("The sky", " is blue.")
    argv = ["chat", "--prompt", "What colour?", "--system", "Be brief.", "--temperature", "0", "--max_tokens", "9"]
    assert main([*argv, "--top-p", "0.5", "--seed", "-3"]) == 0
    assert capsys.readouterr().out == "The sky is blue.\n"
    assert stub.bodies("POST", "/v1/chat/completions") == [
        {
            "model": "pilot",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What colour?"}],
            "temperature": 0.0,
            "max_tokens": 9,
            "top_p": 0.5,
            "seed": -3,
            "stream": True,
        }
    ]
    assert not stub.bodies("POST", "/v1/models")


@pytest.mark.parametrize("flags", [["--no-stream"], ["--stream", "False"], ["--stream=false"]])
def test_a_whole_answer(flags: list[str], stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.answer = (200, {"choices": [{"message": {"content": "Blue."}, "finish_reason": "stop"}]})
    assert main(["chat", "--prompt", "What colour?", *flags]) == 0
    assert capsys.readouterr().out == "Blue.\n"
    assert "stream" not in stub.bodies("POST", "/v1/chat/completions")[0]


def test_generate(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.events = ['data: {"choices": [{"text": " a time", "finish_reason": "length"}]}', DONE]
    assert main(["generate", "--model-uid", "pilot", "--prompt", "Once upon", "--max-tokens", "2"]) == 0
    told = capsys.readouterr()
    assert told.out == " a time\n"
    assert told.err == "(cut short at the token limit)\n"
    assert stub.bodies("POST", "/v1/completions")[0]["prompt"] == "Once upon"


def test_a_question_from_stdin(stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.events = said("Yes.")
    monkeypatch.setattr("sys.stdin", io.StringIO("two\nlines\n"))
    assert main(["chat"]) == 0
    assert stub.bodies("POST", "/v1/chat/completions")[0]["messages"][0]["content"] == "two\nlines"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_question(
    text: str, stub: Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["chat"]) == 2
    assert "the prompt is empty" in capsys.readouterr().err
    assert stub.asked == []


def test_a_model_that_is_not_launched_is_launched(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.launch = (200, {"model_uid": "qwen"})
    stub.states["qwen"] = [model("qwen", "failed"), model("qwen", "starting"), model("qwen")]
    stub.events = said("Hi.")
    assert main(["chat", "--model-name", "qwen", "--prompt", "Hello"]) == 0
    assert stub.bodies("POST", "/v1/models") == [{"model_name": "qwen"}]
    told = capsys.readouterr()
    assert told.out == "Hi.\n"
    assert told.err.startswith("launching qwen")


def test_a_model_that_is_starting_is_waited_for(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["mine"] = [model("mine", "starting", model_name="pilot"), model("mine", "starting"), model("mine")]
    stub.events = said("Hi.")
    assert main(["chat", "--prompt", "Hello"]) == 0
    assert not stub.bodies("POST", "/v1/models")
    assert stub.bodies("POST", "/v1/chat/completions")[0]["model"] == "mine"


def test_the_ready_one_of_several_is_asked(stub: Stub) -> None:
    stub.states = {"a": [model("a", "starting", model_name="pilot")], "b": [model("b", model_name="Pilot")]}
    stub.events = said("Hi.")
    assert main(["chat", "--prompt", "Hello"]) == 0
    assert stub.bodies("POST", "/v1/chat/completions")[0]["model"] == "b"


def test_an_unknown_uid(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--model-uid", "qwem", "--prompt", "Hello"]) == 1
    assert capsys.readouterr().err == "slipway: no model named 'qwem'\n"


def test_a_failed_uid_tells_its_cause(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["q"] = [model("q", "failed", failure={"cause": "out of memory"})]
    assert main(["chat", "--model-uid", "q", "--prompt", "Hello"]) == 1
    assert "q failed: out of memory" in capsys.readouterr().err


def test_a_uid_or_a_name(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "-u", "a", "-n", "b", "--prompt", "x"]) == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [(400, error("too long a prompt")), (404, error("no model named 'x'"))])
def test_a_refused_question(answer: tuple[int, dict[str, Any]], stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.answer = answer
    assert main(["chat", "--prompt", "Hello"]) == 2
    assert capsys.readouterr().err == f"slipway: {answer[1]['error']['message']}\n"


def test_an_answer_that_breaks_off(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.states["pilot"] = [model()]
    stub.events = [delta("Half an")]
    assert main(["chat", "--prompt", "Hello"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("Half an")
    assert "the answer broke off" in told.err


def test_a_named_server_that_is_not_there(free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "--prompt", "x", "-e", f"http://127.0.0.1:{free_port}"]) == 1
    assert "no Slipway server answers" in capsys.readouterr().err


class FakeAnswers:
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, Any]] = []

    def complete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def stream(self, path: str, body: Mapping[str, Any]) -> Generator[dict[str, Any], None, None]:
        self.asked.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for letter in answer:
            yield {"choices": [{"delta": {"content": letter}, "text": None}]}
        yield {"choices": [], "usage": {}}


def typed(*lines: str) -> Callable[[], str]:
    left = list(lines)

    def read_line() -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return read_line


def test_a_talk_remembers_and_forgets(capsys: pytest.CaptureFixture[str]) -> None:
    answers = FakeAnswers("Hello Ann.", "Ann.", "I do not know.")
    out = io.StringIO()
    lines = ("I am Ann.", "", "Who am I?", "/clear", "/system Be kind.", "Who am I?", "/exit", "never")
    converse(Speaker(answers, "m", {}), Conversation(), typed(*lines), out)
    assert out.getvalue() == "Hello Ann.\nAnn.\nI do not know.\n"
    roles = [[turn["role"] for turn in body["messages"]] for body in answers.asked]
    assert roles == [["user"], ["user", "assistant", "user"], ["system", "user"]]
    assert capsys.readouterr().err == "(the talk is forgotten)\n(the system prompt is set)\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [("/help", "/system TEXT"), ("/quit", "no command /quit: /system TEXT"), ("/system", "there is no system prompt")],
)
def test_commands_of_a_talk(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    converse(Speaker(FakeAnswers(), "m", {}), Conversation("x"), typed(line), io.StringIO())
    assert told in capsys.readouterr().err


def test_an_error_ends_the_answer_and_not_the_talk(capsys: pytest.CaptureFixture[str]) -> None:
    answers = FakeAnswers(BadRequest("the prompt is too long"), "Yes.")
    out = io.StringIO()
    converse(Speaker(answers, "m", {}), Conversation(), typed("long", "short"), out)
    assert out.getvalue() == "Yes.\n"
    assert capsys.readouterr().err == "(the prompt is too long)\n"
    assert [turn["content"] for turn in answers.asked[1]["messages"]] == ["short"]


def test_texts_are_continued_each_on_its_own() -> None:
    answers = FakeAnswers("b", "d")
    out = io.StringIO()
    continue_texts(Speaker(answers, "m", {"seed": 1}), typed("a", "c", "/exit"), out)
    assert out.getvalue() == "b\nd\n"
    assert answers.asked == [{"model": "m", "prompt": "a", "seed": 1}, {"model": "m", "prompt": "c", "seed": 1}]


def test_a_model_cannot_drive_the_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def pieces() -> Generator[str, None, None]:
        yield "a\x1b[2J\x07b\n\tc\x9b"

    out = Terminal()
    heard: list[str] = []
    tell(pieces(), out, heard)
    assert heard == ["a\x1b[2J\x07b\n\tc\x9b"]
    assert out.getvalue() == "a[2Jb\n\tc\n"
