"""The client: addresses, keys, errors as the classes they were made from, streams that break."""

import json
import socket
import threading
from pathlib import Path

import pytest

from slipway import errors
from slipway.client import Client, error_from, remote_model
from slipway.commands.parser import Parser, add_endpoint, client_of, read_key
from slipway.deployment import Phase
from slipway.errors import BadRequest, EngineFailed, NotFound, ServerUnreachable, SlipwayError, Unauthorized
from tests.cli.stub import Stub, delta, error, model


@pytest.mark.parametrize(
    ("given", "endpoint", "host"),
    [
        ("http://127.0.0.1:9997", "http://127.0.0.1:9997", "127.0.0.1"),
        ("localhost:9997", "http://localhost:9997", "localhost"),
        ("http://h:1/", "http://h:1", "h"),
        ("https://h/models/v1/", "https://h/models", "h"),
        ("http://[::1]:9997/v1", "http://[::1]:9997", "::1"),
    ],
)
def test_endpoints(given: str, endpoint: str, host: str) -> None:
    client = Client(given)
    assert (client.endpoint, client.host) == (endpoint, host)


@pytest.mark.parametrize("given", ["", "ftp://h", "http://", "http://h:port", "http://h:99999"])
def test_endpoints_that_are_none(given: str) -> None:
    with pytest.raises(BadRequest, match="give an address such as"):
        Client(given)


def test_no_server(free_port: int) -> None:
    with pytest.raises(ServerUnreachable) as caught:
        Client(f"http://127.0.0.1:{free_port}").models()
    told = caught.value.message
    assert told.startswith(f"no Slipway server answers at http://127.0.0.1:{free_port} (connection refused): start one")
    assert not Client(f"http://127.0.0.1:{free_port}").healthy()


def test_a_name_that_resolves_to_nothing() -> None:
    with pytest.raises(ServerUnreachable, match=r"no Slipway server answers at http://nowhere\.invalid:1"):
        Client("http://nowhere.invalid:1").models()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_another_program_at_the_port(answer: bytes) -> None:
    with pytest.raises(ServerUnreachable, match=r"is (not|it) a Slipway server"):
        Client(answering_once(answer)).models()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"])
def test_a_server_that_hangs_up(answer: bytes) -> None:
    with pytest.raises(ServerUnreachable):
        Client(answering_once(answer)).models()


@pytest.mark.parametrize(
    "kind",
    [
        errors.BadRequest,
        errors.TooLarge,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.DoesNotFit,
        errors.NotReady,
        errors.EngineFailed,
        errors.FetchFailed,
        errors.Cancelled,
    ],
)
def test_errors_come_back_as_they_were(kind: type[SlipwayError]) -> None:
    made = kind("what happened", code="a_code", param="a_param")
    back = error_from(kind.http_status, json.dumps(made.as_object()).encode())
    assert type(back) is kind
    assert back is not None
    assert (back.message, back.code, back.param) == ("what happened", "a_code", "a_param")


@pytest.mark.parametrize("kind", [errors.UnknownOption, errors.Refused, errors.InvalidFamily, errors.BadModelFile])
def test_all_bad_requests_exit_alike(kind: type[BadRequest]) -> None:
    back = error_from(kind.http_status, json.dumps(kind("m").as_object()).encode())
    assert back is not None
    assert back.exit_code == kind.exit_code == 2


def test_an_unknown_name_is_a_bad_request() -> None:
    made = errors.UnknownName("model", "qwem", ["qwen"])
    back = error_from(404, json.dumps(made.as_object()).encode())
    assert back is not None
    assert (back.exit_code, back.message) == (2, made.message)


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"error": "x"}', b'{"error": {}}'])
def test_bodies_that_hold_no_error(body: bytes) -> None:
    assert error_from(500, body) is None


def test_an_unknown_kind_goes_by_its_status() -> None:
    assert type(error_from(409, b'{"error": {"message": "m", "type": "odd"}}')) is errors.Conflict
    assert type(error_from(500, b'{"error": {"message": "m", "type": "odd"}}')) is SlipwayError


def test_a_key_is_sent_and_its_lack_is_explained(stub: Stub) -> None:
    stub.key = "s3cret"
    assert Client(stub.address, "s3cret").models() == ()
    with pytest.raises(Unauthorized, match="put the key in SLIPWAY_API_KEY"):
        Client(stub.address).models()


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_API_KEY", "of-environment")
    file = tmp_path / "key"
    file.write_text("of-file\n")
    parser = Parser("x", "")
    add_endpoint(parser)
    assert client_of(parser.parse_args([])).key == "of-environment"
    assert client_of(parser.parse_args(["--api-key-file", str(file)])).key == "of-file"


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read"), (b"\n", "is empty"), (b"\xff\xfe", "not text")]
)
def test_key_files_that_are_none(content: bytes | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadRequest, match=told):
        read_key(str(file))


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Client("http://h", key)
    assert key not in caught.value.message


def test_a_stream(stub: Stub) -> None:
    stub.events = [": a comment", delta("a"), "event: x", delta("b"), "data: [DONE]", delta("never")]
    events = list(Client(stub.address).stream("/v1/chat/completions", {"model": "m"}))
    assert [event["choices"][0]["delta"]["content"] for event in events] == ["a", "b"]
    assert stub.bodies("POST", "/v1/chat/completions") == [{"model": "m", "stream": True}]


@pytest.mark.parametrize("events", [[delta("a")], [delta("a"), "data: {half"]])
def test_a_stream_that_breaks_off(stub: Stub, events: list[str]) -> None:
    stub.events = events
    with pytest.raises(EngineFailed, match="the answer broke off"):
        list(Client(stub.address).stream("/v1/chat/completions", {}))


def test_an_error_in_a_stream(stub: Stub) -> None:
    stub.events = [delta("a"), 'data: {"error": {"message": "the engine died", "type": "engine_error"}}']
    with pytest.raises(EngineFailed, match="the engine died"):
        list(Client(stub.address).stream("/v1/chat/completions", {}))


def test_an_error_before_a_stream(stub: Stub) -> None:
    stub.answer = (404, error("no model named 'm'", "not_found_error"))
    with pytest.raises(NotFound):
        list(Client(stub.address).stream("/v1/chat/completions", {}))


def test_a_stream_left_is_a_connection_closed(stub: Stub) -> None:
    stub.events, stub.hang_after_events = [delta("a")], True
    stream = Client(stub.address).stream("/v1/chat/completions", {})
    next(stream)
    stream.close()
    assert stub.left.wait(5)


def test_a_uid_is_quoted(stub: Stub) -> None:
    with pytest.raises(NotFound):
        Client(stub.address).model("a/../b?c")
    assert stub.asked[-1][1] == "/v1/models/a%2F..%2Fb%3Fc"


def test_a_model_is_read() -> None:
    raw = model("q", "failed", failure={"cause": "c", "log_tail": ["l"], "exit_code": 1}, model_size_in_billions=7)
    read = remote_model(raw)
    assert (read.uid, read.phase, read.size, read.cause, read.log_tail) == ("q", Phase.FAILED, "7", "c", ("l",))


@pytest.mark.parametrize("raw", [{}, {"id": "x", "phase": "odd"}])
def test_a_model_of_another_version(raw: dict[str, object]) -> None:
    with pytest.raises(ServerUnreachable, match="does not read"):
        remote_model(raw)


def answering_once(answer: bytes) -> str:
    """The address of a server that reads a request, says these bytes and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_and_leave() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=answer_and_leave, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
