"""OpenAI's protocol without a socket: the table of engine errors, the ends of streams."""

import json

import pytest

from slipway.gateway.openai import EventStream, engine_error
from tests.gateway.stage import error_in

LLAMA = {"error": {"code": 400, "message": "'messages' is required", "type": "invalid_request_error"}}
LLAMA_LONG = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error",
    }
}
VLLM = {"error": {"message": "no such thing", "type": "BadRequestError", "param": "temperature", "code": 400}}
VLLM_LONG = {"object": "error", "message": "This model's maximum context length is 64 tokens", "code": 400}
FASTAPI = {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}

MAPPING: list[tuple[int, str, int, dict[str, object]]] = [
    (400, json.dumps(LLAMA), 400, {"message": "'messages' is required", "type": "invalid_request_error", "code": None}),
    (400, json.dumps(LLAMA_LONG), 400, {"code": "context_length_exceeded"}),
    (400, json.dumps(VLLM), 400, {"message": "no such thing", "param": "temperature", "code": None}),
    (400, json.dumps(VLLM_LONG), 400, {"code": "context_length_exceeded"}),
    (422, json.dumps(FASTAPI), 400, {"message": "messages: Field required", "type": "invalid_request_error"}),
    (404, '{"detail": "Not Found"}', 404, {"message": "Not Found", "type": "not_found_error"}),
    (400, '{"error": "just text"}', 400, {"message": "just text"}),
    (400, '"quoted text"', 400, {"message": "quoted text"}),
    (429, '{"error": {"message": "slow down"}}', 429, {"type": "rate_limit_error"}),
    (500, "Internal Server Error", 500, {"message": "Internal Server Error", "type": "engine_error"}),
    (503, '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', 503, {"type": "engine_error"}),
    (
        502,
        "<html><head><title>no</title></head><body><h1>Bad &amp; Gateway</h1></body></html>",
        502,
        {"message": "Bad & Gateway"},
    ),
    (500, "", 500, {"message": "the engine answered with HTTP status 500 and no message"}),
    (500, '{"error": {"message": 5}}', 500, {"message": "the engine answered with HTTP status 500 and no message"}),
    (400, "[1, 2]", 400, {"message": "the engine answered with HTTP status 400 and no message"}),
    (401, '{"error": {"message": "Invalid API Key"}}', 502, {"type": "engine_error"}),
    (403, "no", 502, {"type": "engine_error"}),
    (302, "", 502, {"type": "engine_error"}),
    (500, "cannot reach http://127.0.0.1:40123/x", 500, {"message": "cannot reach the engine"}),
]


@pytest.mark.parametrize(("status", "body", "becomes", "parts"), MAPPING, ids=range(len(MAPPING)))
def test_mapping_of_engine_errors(status: int, body: str, becomes: int, parts: dict[str, object]) -> None:
    error = engine_error(status, body.encode())
    assert error.http_status == becomes
    found = error_in(error.as_object())
    assert {key: found[key] for key in parts} == parts


# ---------------------------------------------------------------- the end of a stream

DONE = b"data: [DONE]\n\n"
STREAMS: list[tuple[list[bytes], bytes, bool]] = [
    ([b"data: 1\n\n", DONE], b"data: 1\n\n" + DONE, True),
    ([b"data: 1\r\n\r\ndata: [DONE]\r\n\r\n"], b"data: 1\r\n\r\ndata: [DONE]\r\n\r\n", True),
    ([b"data: 1\n\ndata: [DO", b"NE]\n\n"], b"data: 1\n\n" + DONE, True),
    ([b"data:1\n\ndata:[DONE]\n"], b"data:1\n\ndata:[DONE]\n", True),
    ([b"data: 1\n\n", b"data: [DONE]"], b"data: 1\n\ndata: [DONE]", True),
    ([b"data: 1\n", b"\ndata: 2\n", b"\n"], b"data: 1\n\ndata: 2\n\n", False),
    ([b"data: 1\n\nda"], b"data: 1\n\n", False),
    ([b'data: "[DONE]"\n\n'], b'data: "[DONE]"\n\n', False),
    ([DONE, b"data: 1\n\n"], DONE + b"data: 1\n\n", False),
    ([], b"", False),
]


@pytest.mark.parametrize(("chunks", "let_out", "whole"), STREAMS, ids=range(len(STREAMS)))
def test_event_stream(chunks: list[bytes], let_out: bytes, whole: bool) -> None:
    events = EventStream()
    assert b"".join(events.feed(chunk) for chunk in chunks) + events.end() == let_out
    assert events.whole is whole


def test_stream_without_events_is_not_held_back_for_ever() -> None:
    events = EventStream()
    assert sum(len(events.feed(b"x" * 65536)) for _ in range(100)) > 5_000_000


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_events_cut_anywhere_come_out_whole_and_complete(size: int, end: bytes) -> None:
    whole = b"".join(b'data: {"n": %d}' % number + end for number in range(20)) + b"data: [DONE]" + end
    events = EventStream()
    out = [events.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert b"".join(out) + events.end() == whole
    assert events.whole
    assert all(piece == b"" or piece.endswith(end) for piece in out)


def test_an_event_in_many_pieces_is_held_and_let_out_as_one() -> None:
    events = EventStream()
    for _ in range(40_000):
        assert events.feed(b"no end in this piece") == b""
    assert events.feed(b"\n\n") == b"no end in this piece" * 40_000 + b"\n\n"


def test_what_is_held_without_an_end_is_bounded() -> None:
    events = EventStream()
    out = b"".join(events.feed(b"x" * 60_000) for _ in range(40))
    assert len(out) > 1024**2
