"""The entry: what `--help` imports, how commands are found, what becomes of errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from slipway import __version__, cli
from slipway.errors import BadRequest, Cancelled, DoesNotFit, NotFound, SlipwayError

HEAVY = {
    "aiohttp",
    "argparse",
    "asyncio",
    "dataclasses",
    "http",
    "huggingface_hub",
    "inspect",
    "jinja2",
    "json",
    "logging",
    "slipway.parameters",
    "slipway.types",
    "socket",
    "ssl",
    "subprocess",
    "tomllib",
    "uvicorn",
    "xllamacpp",
}


def loaded_by(*argv: str) -> set[str]:
    script = (
        "import sys; before = set(sys.modules); from slipway.cli import main\n"
        f"try: main({list(argv)!r})\nexcept SystemExit: pass\n"
        "print(*(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy() -> None:
    assert not loaded_by("--help") & HEAVY


@pytest.mark.parametrize("command", ["launch", "list", "chat", "serve"])
def test_help_of_a_command_imports_no_server_and_no_engine(command: str) -> None:
    loaded = loaded_by(command, "--help")
    assert f"slipway.commands.{cli.COMMANDS[command].module}" in loaded
    assert not loaded & {"aiohttp", "asyncio", "huggingface_hub", "jinja2", "uvicorn", "xllamacpp", "slipway.engines"}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("usage: slipway COMMAND")
    assert all(f"  {name} " in told for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"], program="xinference")
    assert left.value.code == 0
    assert f"usage: xinference {command}" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--version", "-v", "-V"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([flag]) == 0
    assert capsys.readouterr().out == f"slipway {__version__}\n"


def test_an_unknown_command_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lanch"]) == 2
    assert "slipway: no command named 'lanch'; nearest: launch" in capsys.readouterr().err


def test_a_flag_before_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--port", "1"]) == 2
    assert "'--port' stands where a command should" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(SlipwayError("m"), 1), (BadRequest("m"), 2), (NotFound("m"), 1), (DoesNotFit("m"), 1), (Cancelled("m"), 130)],
)
def test_errors_are_a_sentence_and_an_exit_code(
    error: SlipwayError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_run", _raising(error))
    assert cli.main([]) == code
    assert capsys.readouterr().err == "slipway: m\n"


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "_run", _raising(KeyboardInterrupt()))
    assert cli.main([]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_unexpected_error_is_a_line_and_its_traceback_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "_run", _raising(ZeroDivisionError("by zero")))
    monkeypatch.setattr(sys, "argv", ["slipway", "chat", "--prompt", "private words"])
    assert cli.main() == 1
    log = tmp_path / "home" / "logs" / "cli.log"
    told = capsys.readouterr().err
    assert told == f"slipway: unexpected ZeroDivisionError: by zero; the details are in {log}\n"
    written = log.read_text()
    assert "Traceback" in written
    assert "slipway chat" in written
    assert "private words" not in written


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLIPWAY_DEBUG", "1")
    monkeypatch.setattr(cli, "_run", _raising(ZeroDivisionError("by zero")))
    assert cli.main([]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; sys.stdin.readline(); from slipway.cli import main; sys.exit(main(['-h']))",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        child.stdout.close()
        child.stdin.write(b"go\n")
        child.stdin.close()
        assert child.stderr.read() == b""
        assert child.wait(10) == 141


def test_python_dash_m() -> None:
    done = subprocess.run([sys.executable, "-m", "slipway", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"slipway {__version__}\n"


def test_xinference_local_is_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], str]] = []

    def run(argv: list[str], program: str) -> int:
        seen.append((argv, program))
        return 0

    monkeypatch.setattr(cli, "_run", run)
    monkeypatch.setattr(sys, "argv", ["xinference-local", "-H", "::1", "--port", "9998"])
    assert cli.xinference_local() == 0
    assert seen == [(["serve", "-H", "::1", "--port", "9998"], "xinference")]


def _raising(error: BaseException) -> object:
    def run(*_: object) -> int:
        raise error

    return run
