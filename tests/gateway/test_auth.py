"""Keys, and the protection of a server without keys from web pages."""

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import BadRequest, Forbidden, Unauthorized
from slipway.gateway.auth import Gate, check_exposure, is_loopback
from slipway.settings import Settings
from tests.gateway.stage import Engine, FakeControl, error_in, running_gateway

OPEN = Settings(Path("/nowhere"))
KEYED = replace(OPEN, api_keys=("first-key", "second-key"))


@pytest.mark.parametrize("value", [b"Bearer first-key", b"bearer second-key", b"Bearer  first-key "])
def test_right_keys(value: bytes) -> None:
    Gate(KEYED).check([(b"host", b"anything"), (b"origin", b"https://web.example"), (b"authorization", value)])


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer first-ke",
        b"Bearer first-key2",
        b"Basic first-key",
        b"first-key",
        b"\xff\xfe",
    ],
)
def test_wrong_keys(value: bytes | None) -> None:
    headers = [] if value is None else [(b"authorization", value)]
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        Gate(KEYED).check([(b"host", b"127.0.0.1:9997"), *headers])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9997", "localhost:9997", "localhost", "LOCALHOST:1", "[::1]:9997", "127.8.8.8", "a.localhost:80"],
)
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1:9997", "http://[::1]"])
def test_own_machine_may_ask(host: str, origin: str | None) -> None:
    Gate(OPEN).check(headers_of(host, origin))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:9997", None),
        ("localhost.evil.example", None),
        ("127.0.0.1.evil.example:9997", None),
        ("10.0.0.5:9997", None),
        ("[::2", None),
        ("", None),
        ("127.0.0.1:9997", "https://evil.example"),
        ("127.0.0.1:9997", "http://localhost.evil.example"),
        ("127.0.0.1:9997", "null"),
        ("127.0.0.1:9997", "http://["),
        ("127.0.0.1:9997", ""),
    ],
)
def test_web_pages_may_not(host: str, origin: str | None) -> None:
    with pytest.raises(Forbidden):
        Gate(OPEN).check(headers_of(host, origin))


def headers_of(host: str, origin: str | None) -> list[tuple[bytes, bytes]]:
    return [(b"host", host.encode()), *([] if origin is None else [(b"origin", origin.encode())])]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "my-server", ""])  # noqa: S104 - refused, not bound
def test_exposure_without_keys_is_refused(host: str) -> None:
    with pytest.raises(BadRequest, match="SLIPWAY_API_KEYS"):
        check_exposure(replace(OPEN, host=host))
    check_exposure(replace(KEYED, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert is_loopback(host)
    check_exposure(replace(OPEN, host=host))


async def test_keys_guard_all_but_the_open_paths(engine: Engine, settings: Settings) -> None:
    control = FakeControl()
    control.put("tiny", engine.address)
    async with running_gateway(control, replace(settings, api_keys=("k1",))) as gateway:
        for path in ("/health", "/v1/cluster/auth"):
            status, value = await gateway.get(path)
            assert status == 200
        assert value == {"auth": True}
        async with gateway.session.get(gateway.url + "/metrics") as response:
            assert response.status == 200
        before = len((await engine.record())["requests"])
        for method, path in [
            ("GET", "/v1/models"),
            ("POST", "/v1/chat/completions"),
            ("DELETE", "/v1/models/tiny"),
            ("GET", "/x"),
        ]:
            async with gateway.session.request(method, gateway.url + path, json={"model": "tiny"}) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert error_in(await response.json())["code"] == "invalid_api_key"
        assert len((await engine.record())["requests"]) == before
        gateway.session.headers["Authorization"] = "Bearer k1"
        await gateway.error_free({"model": "tiny"})
        for method in ("GET", "POST"):
            async with gateway.session.request(method, gateway.url + "/x", json={"model": "tiny"}) as response:
                assert response.status == 404
                assert error_in(await response.json())["code"] == "path_not_found"


async def test_rebound_names_and_foreign_origins_are_refused(engine: Engine, settings: Settings) -> None:
    control = FakeControl()
    control.put("tiny", engine.address)
    async with running_gateway(control, settings) as gateway:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            async with gateway.session.delete(gateway.url + "/v1/models/tiny", headers=headers) as response:
                assert response.status == 403
                error_in(await response.json())
        assert "tiny" in control.known
