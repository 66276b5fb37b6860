"""pip's configuration, read for uv, which does not read it: indexes, links, certificates, proxy, timeout.

What is found becomes variables for uv's environment, never its command line: an index's address may hold a password.
"""

import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_SECTIONS = ("global", "install")  # of a file; the later goes over the earlier, and PIP_… variables over both
_USERINFO = re.compile(r"//[^/@\s]+@")
# What uv has no use for, and what must not reach the build of a package: our own keys and the hubs' tokens.
_WITHHELD = re.compile(r"SLIPWAY_|PYTHON|VIRTUAL_ENV$|CONDA_|PIP_|.*(TOKEN|SECRET|API_KEY|API_KEYS|PASSWORD)$")


def pip_settings(environ: Mapping[str, str] = os.environ, files: Iterable[Path] | None = None) -> dict[str, str]:
    """pip's settings for an installation: file over file, section over section, variables over all; names with "-"."""
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for path in config_files(environ) if files is None else files:
        for name, values in _read(path).items():
            sections.get(name, {}).update(values)
    merged = {key: value for name in _SECTIONS for key, value in sections[name].items()}
    merged |= {
        _plain(name.removeprefix("PIP_")): value for name, value in environ.items() if name.startswith("PIP_") and value
    }
    merged.pop("config-file", None)
    return merged


def config_files(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The files pip reads, lowest first: the machine's, the user's old and new, the environment's, the one named."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    home = Path(environ.get("HOME") or "~").expanduser()
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    if sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip")]
        library = home / "Library" / "Application Support" / "pip"
        own = library if library.is_dir() else home / ".config" / "pip"
    elif os.name == "nt":
        shared = [Path(environ.get("PROGRAMDATA") or "C:/ProgramData") / "pip"]
        own = Path(environ.get("APPDATA") or home) / "pip"
    else:
        directories = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        shared = [*(Path(each) / "pip" for each in directories.split(":") if each), Path("/etc")]
        own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    old = home / ("pip" if os.name == "nt" else ".pip")
    places = [directory / name for directory in (*shared, old, own, Path(sys.prefix))]
    return (*places, Path(named).expanduser()) if named else tuple(places)


def uv_variables(settings: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables by which uv is told pip's settings; what the user has told uv itself is left as it is."""
    # pip looks at all indexes and takes the best; uv would stop at the first that has the name.
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "index-url" in settings and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & environ.keys():
        found["UV_DEFAULT_INDEX"] = settings["index-url"].strip()
    if "extra-index-url" in settings and not {"UV_INDEX", "UV_EXTRA_INDEX_URL"} & environ.keys():
        found["UV_INDEX"] = " ".join(settings["extra-index-url"].split())
    if "find-links" in settings:
        found["UV_FIND_LINKS"] = ",".join(_absolute(each) for each in settings["find-links"].split())
    if settings.get("no-index", "").lower() in _TRUE:
        found["UV_NO_INDEX"] = "1"
    if "trusted-host" in settings:
        found["UV_INSECURE_HOST"] = " ".join(settings["trusted-host"].split())
    if settings.get("keyring-provider") == "subprocess":
        found["UV_KEYRING_PROVIDER"] = "subprocess"
    timeout = settings.get("timeout") or settings.get("default-timeout")
    if timeout and timeout.replace(".", "", 1).isdigit():
        found["UV_HTTP_TIMEOUT"] = str(max(1, round(float(timeout))))
    found |= _certificates(settings)
    return {name: value for name, value in found.items() if name not in environ and name.lower() not in environ}


def uv_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All that a uv process sees: our environment without its secrets, and pip's settings in uv's words."""
    kept = {name: value for name, value in environ.items() if name.startswith("UV_") or not _WITHHELD.match(name)}
    return {**kept, **uv_variables(pip_settings(environ), environ), "NO_COLOR": "1"}


def without_secrets(text: str) -> str:
    """A text with the user names and passwords of the addresses in it left out."""
    return _USERINFO.sub("//***@", text)


def _certificates(settings: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if "cert" in settings:
        place = Path(settings["cert"]).expanduser()
        found["SSL_CERT_DIR" if place.is_dir() else "SSL_CERT_FILE"] = str(place)
    if "client-cert" in settings:
        found["SSL_CLIENT_CERT"] = str(Path(settings["client-cert"]).expanduser())
    if "proxy" in settings:
        found |= {"HTTP_PROXY": settings["proxy"], "HTTPS_PROXY": settings["proxy"]}
    return found


def _absolute(place: str) -> str:
    """A directory as pip finds it, from where it was started; uv is run elsewhere. Addresses stay as they are."""
    return place if "://" in place else str(Path(place).expanduser().absolute())


def _read(path: Path) -> dict[str, dict[str, str]]:
    """The sections of a file; nothing of one that is not there or is not a configuration."""
    parser = configparser.RawConfigParser()
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            parser.read_file(file)
    except (OSError, configparser.Error):
        return {}
    return {name: {_plain(key): value for key, value in parser.items(name) if value} for name in parser.sections()}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")
