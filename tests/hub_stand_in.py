"""A hub on loopback: Hugging Face's and ModelScope's HTTP APIs for listing and fetching files, with faults on demand.

Use `hub_stand_in()` as a context manager, or the fixture in tests/hubs/conftest.py; put repositories into `.files`.
"""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "c" * 40
_LARGE = (".safetensors", ".gguf", ".bin", ".a", ".b")


@dataclass
class HubStandIn:
    """The repositories, the faults to make, and what was asked."""

    address: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)  # repository -> name -> content
    token: str | None = None  # needed for the files themselves, as of a gated repository
    hidden: bool = False  # the token is needed for the listing too
    listing: bytes | None = None  # what every listing answers instead
    names_only: bool = False  # a mirror that lists no sizes and digests
    redirect: bool = False  # files are served from another address, where no token may arrive
    ranges: bool = True
    cuts: Counter[str] = field(default_factory=Counter)  # file -> how often to cut the connection half-way
    flips: Counter[str] = field(default_factory=Counter)  # file -> how often to send a wrong byte
    refusals: Counter[str] = field(default_factory=Counter)  # file -> how often to answer 503
    too_many: Counter[str] = field(default_factory=Counter)  # file, or "" for a listing -> how often to answer 429
    retry_after: str = "0"  # what a 429 asks for
    slow: Counter[str] = field(default_factory=Counter)  # hub -> tenths of a second a listing takes
    requests: list[str] = field(default_factory=list)  # "GET /path", without the query
    served: Counter[str] = field(default_factory=Counter)  # file -> body bytes sent
    leaked: bool = False  # a token arrived at the other address
    hold: threading.Event | None = None  # files stop half-way until it is set
    halfway: threading.Event = field(default_factory=threading.Event)  # a file stopped half-way


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubStandIn

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_HEAD(self) -> None:
        self._route(body=False)

    def do_GET(self) -> None:
        self._route(body=True)

    def _route(self, *, body: bool) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {key: value[0] for key, value in parse_qs(parts.query).items()}
        self.hub.requests.append(f"{self.command} {path}")
        if path.startswith("/api/"):
            time.sleep(self.hub.slow["modelscope" if path.startswith("/api/v1/") else "huggingface"] / 10)
            if "FilePath" not in query and _once(self.hub.too_many, ""):
                self._busy()
                return
        if self.hub.listing is not None and path.startswith("/api/"):
            self._head(200, len(self.hub.listing), {})
            self.wfile.write(self.hub.listing)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/.+)?", path):
            self._huggingface_listing(match[1])
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/[^/]+", path):
            self._huggingface_tree(match[1])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self._file(match[1], match[2], body=body)
        elif match := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo/files", path):
            self._modelscope_listing(match[1])
        elif match := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo", path):
            self._file(match[1], query["FilePath"], body=body)
        elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self.hub.leaked |= "Authorization" in self.headers or "Cookie" in self.headers
            self._content(match[2], self.hub.files[match[1]][match[2]], body=body)
        else:
            self._json(404, {"error": "no such route"})

    # ------------------------------------------------ listings

    def _huggingface_listing(self, repository: str) -> None:
        files = self.hub.files.get(repository)
        if files is None or (self.hub.hidden and not self._authorized()):
            self._json(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        siblings: list[dict[str, object]] = []
        for name, content in files.items():
            entry: dict[str, object] = {"rfilename": name}
            if not self.hub.names_only:
                entry |= {"size": len(content), "blobId": git_id(content)}
                if name.endswith(_LARGE):
                    entry["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 130}
            siblings.append(entry)
        self._json(200, {"id": repository, "sha": COMMIT, "siblings": siblings})

    def _huggingface_tree(self, repository: str) -> None:
        entries: list[dict[str, object]] = []
        for name, content in self.hub.files.get(repository, {}).items():
            entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git_id(content)}
            if name.endswith(_LARGE):
                entry["lfs"] = {"size": len(content), "oid": sha256(content), "pointerSize": 130}
            entries.append(entry)
        self._json(200, entries)

    def _modelscope_listing(self, repository: str) -> None:
        files = self.hub.files.get(repository)
        if files is None or (self.hub.hidden and not self._authorized()):
            self._json(404, {"Code": 10010205001, "Message": "record not found", "Success": False})
            return
        entries: list[dict[str, object]] = [{"Path": "assets", "Type": "tree", "Size": 0, "Sha256": ""}]
        for name, content in files.items():
            entries.append({"Path": name, "Type": "blob", "Size": len(content), "Sha256": sha256(content)})
        self._json(200, {"Code": 200, "Success": True, "Data": {"Files": entries}})

    # ------------------------------------------------ files

    def _file(self, repository: str, name: str, *, body: bool) -> None:
        content = self.hub.files.get(repository, {}).get(name)
        if content is None:
            self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        elif not self._authorized():
            self._json(401, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        elif self.hub.redirect:
            port = self.hub.address.rpartition(":")[2]
            self._head(
                302, 0, {"Location": f"http://localhost:{port}/cdn/{repository}/{quote(name)}", **_about(content)}
            )
        else:
            self._content(name, content, body=body)

    def _content(self, name: str, content: bytes, *, body: bool) -> None:
        if _once(self.hub.refusals, name):
            self._json(503, {"error": "busy"})
            return
        if _once(self.hub.too_many, name):
            self._busy()
            return
        start, end, partial = 0, len(content), False
        if self.hub.ranges and (match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))):
            start, partial = int(match[1]), True
            end = min(end, int(match[2]) + 1) if match[2] else end
        extra = _about(content)
        if partial:
            extra["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        data = bytearray(content[start:end])
        self._head(206 if partial else 200, len(data), extra)
        if not body:
            return
        if data and _once(self.hub.flips, name):
            data[0] ^= 1
        half = len(data) // 2
        self._send(name, bytes(data[:half]))
        if self.hub.hold is not None:
            self.hub.halfway.set()
            self.hub.hold.wait(10)
        if _once(self.hub.cuts, name):
            self.close_connection = True
            return
        self._send(name, bytes(data[half:]))

    def _send(self, name: str, data: bytes) -> None:
        served = self.hub.served  # a test that begins to count anew puts another there
        served[name] += len(data)  # before the client can have it all and look at the count
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:  # the client left
            self.close_connection = True
            served[name] -= len(data)

    def _authorized(self) -> bool:
        token = self.hub.token
        given = (self.headers.get("Authorization", ""), self.headers.get("Cookie", ""))
        return token is None or given[0] == f"Bearer {token}" or given[1] == f"m_session_id={token}"

    def _busy(self) -> None:
        self._json(429, {"error": "too many requests"}, {"Retry-After": self.hub.retry_after})

    def _json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self._head(status, len(data), {"Content-Type": "application/json", **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(key, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is part of the tests."""


@contextmanager
def hub_stand_in() -> Iterator[HubStandIn]:
    """Serve a stand-in on a free port of loopback for as long as the context lasts."""
    hub = HubStandIn()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with _Server(("127.0.0.1", 0), handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            if hub.hold is not None:
                hub.hold.set()
            server.shutdown()
            thread.join(5)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _about(content: bytes) -> dict[str, str]:
    """What Hugging Face says of a file in its headers."""
    return {
        "X-Repo-Commit": COMMIT,
        "X-Linked-Etag": f'"{sha256(content)}"',
        "X-Linked-Size": str(len(content)),
        "ETag": f'"{sha256(content)}"',
    }


def _once(counter: Counter[str], name: str) -> bool:
    """Count one fault down, if one is left for this file."""
    if counter[name] <= 0:
        return False
    counter[name] -= 1
    return True
