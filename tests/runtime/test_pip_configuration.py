"""pip's configuration in uv's words, as tables; what is secret in it goes no further."""

import os
from pathlib import Path

import pytest

from slipway.runtime.pip_configuration import (
    config_files,
    pip_settings,
    uv_environment,
    uv_variables,
    without_secrets,
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_go_over_files_sections_over_sections_and_variables_over_all(tmp_path: Path) -> None:
    machine = write(
        tmp_path / "a.conf", "[global]\nindex-url = https://a/simple\ntimeout = 5\n[install]\nno_index = 1\n"
    )
    user = write(tmp_path / "b.conf", "[global]\nindex-url = https://b/simple\nno-index = 0\n[freeze]\ntimeout = 9\n")
    found = pip_settings({"PIP_TIMEOUT": "7", "PIP_CERT": ""}, (machine, user, tmp_path / "absent.conf"))
    assert found == {"index-url": "https://b/simple", "timeout": "7", "no-index": "1"}


def test_a_file_that_is_no_configuration_counts_for_nothing(tmp_path: Path) -> None:
    assert pip_settings({}, (write(tmp_path / "pip.conf", "index-url = https://a\n"),)) == {}


@pytest.mark.skipif(os.name != "posix", reason="the places differ")
def test_the_places_pip_looks_in(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "own.conf"), "XDG_CONFIG_HOME": "/x"}
    places = config_files(environ)
    assert places[-1] == tmp_path / "own.conf"
    assert tmp_path / ".pip" / "pip.conf" in places
    assert config_files({"PIP_CONFIG_FILE": os.devnull}) == ()


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        ({"index-url": "https://u:p@host/simple"}, {"UV_DEFAULT_INDEX": "https://u:p@host/simple"}),
        ({"extra-index-url": "https://a\nfile:///b"}, {"UV_INDEX": "https://a file:///b"}),
        ({"find-links": "/wheels\nhttps://links"}, {"UV_FIND_LINKS": "/wheels,https://links"}),
        ({"find-links": "near"}, {"UV_FIND_LINKS": str(Path.cwd() / "near")}),
        ({"no-index": "true"}, {"UV_NO_INDEX": "1"}),
        ({"no-index": "false"}, {}),
        ({"cert": "/ca.pem"}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"cert": "/"}, {"SSL_CERT_DIR": "/"}),
        ({"client-cert": "/me.pem"}, {"SSL_CLIENT_CERT": "/me.pem"}),
        ({"trusted-host": "a b:8080"}, {"UV_INSECURE_HOST": "a b:8080"}),
        ({"proxy": "http://p:1"}, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1"}),
        ({"timeout": "2.4"}, {"UV_HTTP_TIMEOUT": "2"}),
        ({"default-timeout": "180"}, {"UV_HTTP_TIMEOUT": "180"}),
        ({"timeout": "soon"}, {}),
        ({"keyring-provider": "subprocess"}, {"UV_KEYRING_PROVIDER": "subprocess"}),
    ],
)
def test_each_setting_in_uvs_words(settings: dict[str, str], variables: dict[str, str]) -> None:
    assert uv_variables(settings, {}) == {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}


@pytest.mark.parametrize(
    ("told", "settings"),
    [
        ("UV_INDEX_URL", {"index-url": "https://a"}),
        ("UV_DEFAULT_INDEX", {"index-url": "https://a"}),
        ("UV_EXTRA_INDEX_URL", {"extra-index-url": "https://a"}),
        ("UV_FIND_LINKS", {"find-links": "/wheels"}),
        ("SSL_CERT_FILE", {"cert": "/ca.pem"}),
        ("UV_HTTP_TIMEOUT", {"timeout": "9"}),
    ],
)
def test_what_the_user_told_uv_itself_wins(told: str, settings: dict[str, str]) -> None:
    assert uv_variables(settings, {told: "mine"}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_a_proxy_in_small_letters_is_the_users_too() -> None:
    assert "HTTPS_PROXY" not in uv_variables({"proxy": "http://p"}, {"https_proxy": "http://mine"})


def test_uv_sees_none_of_our_secrets() -> None:
    environ = {
        "PATH": "/bin",
        "UV_CACHE_DIR": "/cache",
        "HF_TOKEN": "a",
        "SLIPWAY_API_KEYS": "b",
        "OPENAI_API_KEY": "c",
        "PYTHONPATH": "/else",
        "VIRTUAL_ENV": "/venv",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://u:p@host/simple",
        "UV_INDEX_CORP_PASSWORD": "kept: it is uv's",
    }
    seen = uv_environment(environ)
    assert seen.keys() == {
        "PATH", "UV_CACHE_DIR", "UV_INDEX_CORP_PASSWORD", "UV_DEFAULT_INDEX", "UV_INDEX_STRATEGY", "NO_COLOR"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from https://me:word@host/simple and http://tok@b", "from https://***@host/simple and http://***@b"),
        ("https://host/simple", "https://host/simple"),
        ("a//b @ c", "a//b @ c"),
    ],
)
def test_addresses_are_shown_without_their_passwords(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
