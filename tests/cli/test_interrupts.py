"""Ctrl-C, with real processes: a launch asks once and then cancels, an answer stops, a followed log ends."""

import threading

from slipway.commands.interrupts import QUESTION
from tests.cli.process import command, until
from tests.cli.stub import Stub, delta, model


def test_the_first_ctrl_c_asks_and_the_launch_goes_on(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    with command("launch", "-n", "pilot") as launch:
        launch.wait_for("starting llama.cpp")
        launch.interrupt()
        launch.wait_for(QUESTION)
        stub.states["pilot"] = [model()]
        assert launch.end() == 0
        assert "pilot is ready" in launch.text
    assert not stub.bodies("DELETE", "/v1/models/pilot")


def test_the_second_ctrl_c_cancels(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    with command("launch", "-n", "pilot") as launch:
        launch.wait_for("starting llama.cpp")
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        assert launch.end() == 130
        assert "slipway: the launch of pilot is cancelled" in launch.text
        assert "Traceback" not in launch.text
    assert len(stub.bodies("DELETE", "/v1/models/pilot")) == 1
    assert stub.states == {}


def test_cancelling_what_has_ended_meanwhile(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    stub.refuses_delete = True
    with command("launch", "-n", "pilot") as launch:
        launch.wait_for("starting llama.cpp")
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        assert launch.end() == 130


def test_a_third_ctrl_c_does_not_wait_for_the_cancel(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    stub.hangs_delete = True
    with command("launch", "-n", "pilot") as launch:
        launch.wait_for("starting llama.cpp")
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        launch.wait_for("Cancelling")
        launch.interrupt()
        assert launch.end() == 130
        assert "the server was told to cancel the launch of pilot" in launch.text
        assert "`slipway terminate pilot`" in launch.text
        assert "Traceback" not in launch.text
    assert len(stub.bodies("DELETE", "/v1/models/pilot")) == 1


def test_ctrl_c_is_answered_while_the_server_is_not_answering(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    stub.holds["GET"] = threading.Event()
    with command("launch", "-n", "pilot") as launch:
        assert until(lambda: bool(stub.bodies("GET", "/v1/models/pilot")))
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        assert launch.end() == 130
        assert "the launch of pilot is cancelled" in launch.text
    assert stub.states == {}


def test_a_launch_cancelled_while_it_is_planned_is_ended_once_it_has_a_uid(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    stub.holds["POST"] = threading.Event()
    with command("launch", "-n", "pilot") as launch:
        assert until(lambda: bool(stub.bodies("POST", "/v1/models")))
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        launch.wait_for("Cancelling")
        assert not stub.bodies("DELETE", "/v1/models/pilot")
        stub.holds["POST"].set()
        assert launch.end() == 130
        assert "the launch of pilot is cancelled" in launch.text
    assert stub.states == {}


def test_a_third_ctrl_c_while_a_launch_is_planned_tells_what_may_be_running(stub: Stub) -> None:
    stub.holds["POST"] = threading.Event()
    with command("launch", "-n", "pilot", "--model-uid", "mine") as launch:
        assert until(lambda: bool(stub.bodies("POST", "/v1/models")))
        launch.interrupt()
        launch.wait_for(QUESTION)
        launch.interrupt()
        launch.wait_for("Cancelling")
        launch.interrupt()
        assert launch.end() == 130
        assert (
            "may go on with it: `slipway list` shows whether it does, `slipway terminate mine` ends it" in launch.text
        )
        assert "Traceback" not in launch.text


def test_on_a_terminal_the_question_stands_on_a_line_of_its_own(stub: Stub) -> None:
    stub.states["pilot"] = [model(phase="starting")]
    with command("launch", "-n", "pilot", terminal=True) as launch:
        launch.wait_for("starting llama.cpp")
        launch.interrupt()
        launch.wait_for(f"\r\x1b[K{QUESTION}\r\n")
        launch.interrupt()
        assert launch.end() == 130


def test_ctrl_c_stops_an_answer_and_the_talk_goes_on(stub: Stub) -> None:
    stub.states["pilot"] = [model()]
    stub.events, stub.hang_after_events = [delta("The answer"), delta(" is")], True
    with command("chat", terminal=True) as chat:
        chat.wait_for("> ")
        chat.type("What?\n")
        chat.wait_for("The answer is")
        chat.interrupt()
        chat.wait_for("(stopped)")
        assert stub.left.wait(5)  # the engine is told
        stub.hang_after_events = False
        stub.events = [delta("Yes."), "data: [DONE]"]
        chat.type("Really?\n")
        chat.wait_for("Yes.")
        chat.type("/exit\n")
        assert chat.end() == 0
        assert "Traceback" not in chat.text
    asked = stub.bodies("POST", "/v1/chat/completions")[-1]["messages"]
    assert [turn["content"] for turn in asked] == ["What?", "The answer is", "Really?"]


def test_ctrl_c_at_the_prompt_ends_the_talk(stub: Stub) -> None:
    stub.states["pilot"] = [model()]
    with command("chat", terminal=True) as chat:

        def interrupted() -> bool:
            chat.interrupt()  # more than once: readline misses one that comes between its prompt and its wait
            return chat.ends_within(1.0)

        chat.wait_for("> ")
        assert until(interrupted)
        assert chat.end() == 130
        assert "Traceback" not in chat.text


def test_ctrl_c_during_the_only_answer_ends_the_command(stub: Stub) -> None:
    stub.states["pilot"] = [model()]
    stub.events, stub.hang_after_events = [delta("The answer")], True
    with command("chat", "--prompt", "What?") as chat:
        chat.wait_for("The answer")
        chat.interrupt()
        assert chat.end() == 130
        assert "Traceback" not in chat.text
    assert stub.left.wait(5)


def test_ctrl_c_ends_a_followed_log(stub: Stub) -> None:
    stub.log, stub.hangs_log = "loading\n", True
    with command("logs", "-f", "pilot") as logs:
        logs.wait_for("loading")
        logs.interrupt()
        assert logs.end() == 130
        assert "Traceback" not in logs.text
