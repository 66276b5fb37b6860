"""An engine that answers at once, or misbehaves as told: one process of plain asyncio, quick to start.

    python tests/fake_engine.py --port 40123 [--start-delay-s 1] [--crash | --exit-zero | --hang] [--unready]
                                [--ignore-sigterm] [--fork] [--behave '{"chunks": 3}']

It speaks OpenAI's HTTP and wants the secret of SLIPWAY_ENGINE_SECRET as its key. How it answers is told by --behave,
and by the field ``fake`` of a request, which goes before it:

    delay_s, chunk_delay_s   wait before the answer, before each chunk of a stream
    chunks                   how many chunks a stream has (3)
    drop                     close the connection: "before" the answer, "headers" after them, "middle" of the body
    exit_after               end the process after that many chunks; 0: before the answer
    no_done, half_event      end a stream without [DONE]; in the middle of an event
    answer                   a lie: {"status", "type", "body"} sent instead
    hang                     never answer

GET /health is 200 when ready. GET /_record tells what was asked: {"requests": [{"path", "headers", "body"}], "aborts",
"finished"}.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

Told = dict[str, Any]


@dataclass
class Record:
    requests: list[Told] = field(default_factory=list)
    aborts: int = 0
    finished: int = 0


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Told:
        value = json.loads(self.body or b"{}")
        return value if isinstance(value, dict) else {}


class FakeEngine:
    def __init__(self, behaviour: Told, ready: bool) -> None:
        self.secret = os.environ.get("SLIPWAY_ENGINE_SECRET", "")
        self.behaviour = behaviour
        self.ready = ready
        self.record = Record()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_request(reader):
                if not await self.watched(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def watched(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer, unless the client leaves first. False: the connection is over."""
        answer = asyncio.ensure_future(self.answer(request, writer))
        gone = asyncio.ensure_future(closed(reader))
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self.record.aborts += 1
            answer.cancel()
        gone.cancel()
        for task in (answer, gone):
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
        return not answer.cancelled() and answer.exception() is None and answer.result()

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.path == "/_record":
            await send_json(writer, 200, vars(self.record))
            return True
        if request.path == "/health":
            await send_json(writer, 200 if self.ready else 503, {"status": "ok" if self.ready else "loading"})
            return True
        self.record.requests.append(
            {"path": request.path, "headers": request.headers, "body": request.body.decode("utf-8", "replace")}
        )
        if self.secret and request.headers.get("authorization") != f"Bearer {self.secret}":
            await send_json(
                writer, 401, {"error": {"message": "wrong key", "type": "authentication_error", "code": 401}}
            )
            return True
        if request.path == "/v1/models":
            await send_json(writer, 200, {"object": "list", "data": [{"id": self.behaviour.get("model", "tiny")}]})
            return True
        keep = await self.complete(request, writer)
        self.record.finished += 1
        return keep

    async def complete(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        asked = request.json()
        told = {**self.behaviour, **asked.get("fake", {})}
        await asyncio.sleep(told.get("delay_s", 0))
        if told.get("hang"):
            await asyncio.sleep(3600)
        if told.get("drop") == "before":
            return False
        if told.get("exit_after") == 0:
            os._exit(3)
        if "answer" in told:
            lie = told["answer"]
            await send(writer, lie.get("status", 200), lie.get("body", "").encode(), lie.get("type", "text/plain"))
            return True
        if asked.get("stream"):
            return await stream(told, asked, writer)
        return await whole(told, asked, writer)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    first = await reader.readline()
    if not first:
        return None
    method, path, _ = first.decode().split()
    headers = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def closed(reader: asyncio.StreamReader) -> None:
    """Returns when the client closes. A second request may not come before the first is answered."""
    if await reader.read(1):
        raise RuntimeError("a pipelined request")


async def send(writer: asyncio.StreamWriter, status: int, body: bytes, content_type: str) -> None:
    writer.write(
        f"HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )
    await writer.drain()


async def send_json(writer: asyncio.StreamWriter, status: int, value: object) -> None:
    await send(writer, status, json.dumps(value).encode(), "application/json")


async def whole(told: Told, asked: Told, writer: asyncio.StreamWriter) -> bool:
    message = {"role": "assistant", "content": "Hello there."}
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked.get("model"),
        "choices": [{"index": 0, "message": message, "text": "Hello there.", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
    if "drop" not in told:
        await send_json(writer, 200, value)
        return True
    body = json.dumps(value).encode()
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    if told["drop"] == "middle":
        writer.write(body[: len(body) // 2])
    await writer.drain()
    await asyncio.sleep(0.05)
    return False


async def stream(told: Told, asked: Told, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    await writer.drain()
    if told.get("drop") == "headers":
        return False
    count = told.get("chunks", 3)
    for number in range(count):
        await asyncio.sleep(told.get("chunk_delay_s", 0))
        await piece(writer, event(number, asked.get("model")))
        if told.get("exit_after") == number + 1:
            await asyncio.sleep(0.05)
            os._exit(3)
        if told.get("drop") == "middle" and number + 1 == count // 2 + 1:
            return False
    if told.get("half_event"):
        await piece(writer, event(count, None)[:20])
        return False
    if not told.get("no_done"):
        await piece(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def piece(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
    await writer.drain()


def event(number: int, model: str | None) -> bytes:
    """One chunk of the stream; what a test compares the relayed bytes with."""
    choice = {"index": 0, "delta": {"content": f"word{number} "}, "text": f"word{number} ", "finish_reason": None}
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def main() -> int:
    options = arguments()
    print("fake engine: loading model", flush=True)
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.fork:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    time.sleep(options.start_delay_s)
    if options.crash:
        print("fake engine: error: out of memory (said the test)", file=sys.stderr, flush=True)
        return 3
    if options.exit_zero:
        return 0
    if options.hang:
        time.sleep(3600)
    asyncio.run(serve(options))
    return 0


async def serve(options: argparse.Namespace) -> None:
    engine = FakeEngine(json.loads(options.behave), not options.unready)
    server = await asyncio.start_server(engine.connection, options.host, options.port, limit=2**26)
    port = server.sockets[0].getsockname()[1]
    print(f"fake engine: listening on {options.host}:{port}", flush=True)
    await server.serve_forever()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--start-delay-s", type=float, default=0.0)
    parser.add_argument("--behave", default="{}")
    for flag in ("--crash", "--exit-zero", "--hang", "--unready", "--ignore-sigterm", "--fork"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
