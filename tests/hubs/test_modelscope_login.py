"""ModelScope's own login is read without being unpickled."""

import pickle
from http.cookiejar import Cookie, CookieJar
from pathlib import Path

import pytest

from slipway.hubs.modelscope_login import modelscope_token, token_in
from slipway.types import Hub
from tests.hub_stand_in import HubStandIn
from tests.hubs.fetching import GGUF, REPOSITORY, get, one_file, refusal


class Jar(CookieJar):
    """As requests pickles its own: the lock left out."""

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_cookies_lock"}


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("the login was unpickled",))


def cookie(name: str, value: str) -> Cookie:
    rest: dict[str, str] = {}
    return Cookie(
        0, name, value, None, False, "x.cn", True, False, "/", True, True, 2_000_000_000, False, None, None, rest
    )


def jar(*cookies: Cookie) -> Jar:
    made = Jar()
    for each in cookies:
        made.set_cookie(each)
    return made


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_token_is_found_beside_other_cookies(protocol: int) -> None:
    made = jar(cookie("csrf", "other"), cookie("m_session_id", "ms-secret"), cookie("zz", "more"))
    assert token_in(pickle.dumps(made, protocol)) == "ms-secret"


def test_nothing_in_the_login_runs() -> None:
    assert token_in(pickle.dumps([Trap(), jar(cookie("m_session_id", "ms-secret"))])) == "ms-secret"


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"\x80\x05", pickle.dumps({}), pickle.dumps(jar(cookie("m_session_id", "a; b=c")))]
)
def test_what_is_no_login_gives_no_token(data: bytes) -> None:
    assert token_in(data) is None


def test_the_variable_wins(tmp_path: Path) -> None:
    (tmp_path / "cookies").write_bytes(pickle.dumps(jar(cookie("m_session_id", "from-file"))))
    environ = {"MODELSCOPE_CREDENTIALS_PATH": str(tmp_path)}
    assert modelscope_token(environ) == "from-file"
    assert modelscope_token({**environ, "MODELSCOPE_API_TOKEN": "from-variable"}) == "from-variable"
    assert modelscope_token({"MODELSCOPE_CREDENTIALS_PATH": str(tmp_path / "none")}) is None


def test_a_login_gives_access_to_a_private_repository(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[REPOSITORY], hub.token = {"tiny.gguf": GGUF}, "ms-right"
    refusal(one_file(Hub.MODELSCOPE), tmp_path / "models")
    (tmp_path / "cookies").write_bytes(pickle.dumps(jar(cookie("m_session_id", "ms-right"))))
    monkeypatch.setenv("MODELSCOPE_CREDENTIALS_PATH", str(tmp_path))
    assert get(one_file(Hub.MODELSCOPE), tmp_path / "models")[0].read_bytes() == GGUF


def test_a_login_of_hugging_face_too(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[REPOSITORY], hub.token = {"tiny.gguf": GGUF}, "hf_right"
    (tmp_path / "token").write_text("hf_right\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert get(one_file(Hub.HUGGINGFACE), tmp_path / "models")[0].read_bytes() == GGUF
