"""Environments made by the real uv, offline, from wheels of our own: whole or not there, once, and given up cleanly."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import BadRequest, Cancelled, Conflict, DiskFull, EnvironmentFailed, NotFound
from slipway.runtime.environment_build import build, named, torch_backend
from slipway.runtime.environments import MAKING, RECORD, Environments, Making, Record, interpreter
from tests.wheels import TINY, made_up, tiny_environment, write_wheel

NEVER = threading.Event()


def environments(tmp_path: Path, make: Callable[[Making], Record] = build) -> Environments:
    return Environments(tmp_path / "environments", make, tmp_path / "locks")


def nothing(_: str) -> None: ...


def visible(tmp_path: Path) -> list[str]:
    """What lies in the directory, locks aside."""
    return sorted(path.name for path in (tmp_path / "environments").iterdir() if not path.name.endswith(".lock"))


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_made_once_and_works_where_it_lies(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, TINY)
    wanted, told = tiny_environment(tmp_path / "locks"), list[str]()
    here = environments(tmp_path)
    assert here.find(wanted) is None
    held = here.hold(wanted, told.append, NEVER)
    assert run(held.python, "-c", f"import {TINY}, sys; print(sys.prefix)") == str(held.python.parents[1])
    assert run(held.python.parent / TINY) == str(held.python)  # a console script, after the move
    assert held.python.parents[1].name.startswith(f"{TINY}-1.0-cpu-")
    assert told[0] == "making the environment"
    assert "checking that it works" in told
    (made,) = here.installed()
    assert made.record is not None
    assert made.record.versions == {TINY: "1.0"}
    assert made.record.bytes > 0
    held.close()
    told.clear()
    here.hold(wanted, told.append, NEVER).close()
    assert told == []


def test_another_lock_is_another_environment(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, TINY)
    write_wheel(wheels, TINY, "2.0")
    here = environments(tmp_path)
    first = here.hold(tiny_environment(tmp_path / "locks"), nothing, NEVER)
    second = here.hold(tiny_environment(tmp_path / "locks", "2.0"), nothing, NEVER)
    names = [f"import {TINY}, importlib.metadata as m; print(m.version('{TINY}'))"]
    assert [run(held.python, "-c", *names) for held in (first, second)] == ["1.0", "2.0"]
    first.close()
    second.close()


def test_two_at_once_make_one(tmp_path: Path) -> None:
    wanted, made = tiny_environment(tmp_path / "locks"), list[Path]()

    def counted(making: Making) -> Record:
        made.append(making.path)
        return made_up(making)

    here = environments(tmp_path, counted)
    with ThreadPoolExecutor() as pool:
        held = list(pool.map(lambda _: here.hold(wanted, nothing, NEVER), range(4)))
    assert len(made) == 1
    assert len({each.python for each in held}) == 1
    for each in held:
        each.close()


def test_what_cannot_be_resolved_says_so_leaves_nothing_and_can_be_tried_again(tmp_path: Path, wheels: Path) -> None:
    wanted, here = tiny_environment(tmp_path / "locks"), environments(tmp_path)
    with pytest.raises(EnvironmentFailed, match=rf"(?s)last lines.*{TINY}"):
        here.hold(wanted, nothing, NEVER)
    assert visible(tmp_path) == []
    write_wheel(wheels, TINY)
    here.hold(wanted, nothing, NEVER).close()
    assert here.find(wanted) is not None


def test_what_cannot_be_imported_is_not_kept(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, TINY, code="raise RuntimeError('no kernel for this CPU')")
    with pytest.raises(EnvironmentFailed, match=r"(?s)importing .*no kernel for this CPU"):
        environments(tmp_path).hold(tiny_environment(tmp_path / "locks"), nothing, NEVER)
    assert visible(tmp_path) == []


def test_a_full_disk_is_told_before_anything_is_done(tmp_path: Path, wheels: Path) -> None:
    wanted = replace(tiny_environment(tmp_path / "locks"), disk_bytes=10**18)
    with pytest.raises(DiskFull, match="SLIPWAY_HOME"):
        environments(tmp_path).hold(wanted, nothing, NEVER)
    assert visible(tmp_path) == []


def test_it_is_given_up_at_once_and_nothing_of_it_stays(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, TINY, code="import time\ntime.sleep(60)")  # it hangs while it is imported
    cancel = threading.Event()

    def tell(doing: str) -> None:
        if doing == "checking that it works":
            cancel.set()

    began = time.monotonic()
    with pytest.raises(Cancelled):
        environments(tmp_path).hold(tiny_environment(tmp_path / "locks"), tell, cancel)
    assert time.monotonic() - began < 30
    assert visible(tmp_path) == []


def test_who_waits_for_another_can_give_up(tmp_path: Path) -> None:
    wanted = tiny_environment(tmp_path / "locks")
    begun, go_on, cancel = threading.Event(), threading.Event(), threading.Event()

    def slow(making: Making) -> Record:
        begun.set()
        go_on.wait(20)
        raise EnvironmentFailed("in vain")

    here = environments(tmp_path, slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(here.hold, wanted, nothing, NEVER)
        assert begun.wait(10)
        told: list[str] = []

        def tell(doing: str) -> None:
            told.append(doing)
            cancel.set()

        second = pool.submit(here.hold, wanted, tell, cancel)
        with pytest.raises(Cancelled, match="another one made"):
            second.result(20)
        assert "another launch makes" in told[0]
        go_on.set()
        with pytest.raises(EnvironmentFailed):
            first.result(20)


def test_leftovers_of_the_dead_are_removed(tmp_path: Path) -> None:
    wanted, here = tiny_environment(tmp_path / "locks"), environments(tmp_path, made_up)
    here.hold(wanted, nothing, NEVER).close()
    (made,) = here.installed()
    leftover = made.path.with_name(f"{MAKING}{made.name}")
    made.path.rename(leftover)
    assert here.installed() == ()
    here.hold(wanted, nothing, NEVER).close()
    assert visible(tmp_path) == [made.name]


@pytest.mark.parametrize("break_", [lambda path: (path / RECORD).unlink(), lambda path: interpreter(path).unlink()])
def test_one_that_is_not_whole_is_made_anew(tmp_path: Path, break_: Callable[[Path], None]) -> None:
    wanted, here = tiny_environment(tmp_path / "locks"), environments(tmp_path, made_up)
    here.hold(wanted, nothing, NEVER).close()
    (made,) = here.installed()
    break_(made.path)
    assert here.find(wanted) is None
    here.hold(wanted, nothing, NEVER).close()
    assert here.find(wanted) is not None
    assert visible(tmp_path) == [made.name]


def test_it_is_removed_only_when_nobody_uses_it(tmp_path: Path) -> None:
    wanted, here = tiny_environment(tmp_path / "locks"), environments(tmp_path, made_up)
    held = here.hold(wanted, nothing, NEVER)
    name = held.python.parents[1].name
    with pytest.raises(Conflict, match="in use"):
        here.remove(name)
    held.close()
    assert here.remove(name) > 0
    assert visible(tmp_path) == []
    with pytest.raises(NotFound):
        here.remove(name)
    for outside in ("..", f"../environments/{name}", ".", f".{name}.lock"):
        with pytest.raises(NotFound):
            here.remove(outside)


def test_a_record_of_another_lock_does_not_count(tmp_path: Path) -> None:
    wanted, here = tiny_environment(tmp_path / "locks"), environments(tmp_path, made_up)
    here.hold(wanted, nothing, NEVER).close()
    record = here.installed()[0].path / RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | {"lock_sha256": "0" * 64}))
    assert here.find(wanted) is None


def test_an_interpreter_that_is_named_is_looked_at(tmp_path: Path) -> None:
    found, versions = named(sys.executable, ("aiohttp",))
    assert found.python == sys.executable
    assert not found.made
    assert versions["aiohttp"][0].isdigit()
    with pytest.raises(BadRequest, match="No module named no_such_engine"):
        named(sys.executable, ("no_such_engine",))
    with pytest.raises(BadRequest, match="no program is there"):
        named(str(tmp_path / "python"), ("aiohttp",))
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(BadRequest, match="exit code 3"):
        named(str(broken), ("aiohttp",))


def test_uv_that_is_not_there_is_told(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    with pytest.raises(EnvironmentFailed, match="pip install uv"):
        environments(tmp_path).hold(tiny_environment(tmp_path / "locks"), nothing, NEVER)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no CPU build of that name")
@pytest.mark.parametrize(
    ("pin", "env", "has_it", "flags"),
    [
        ("2.13.0+cpu", {}, True, ()),
        ("2.13.0+cpu", {}, False, ("--torch-backend", "cpu")),
        ("2.13.0+cpu", {"UV_NO_INDEX": "1"}, False, ()),
        ("2.13.0+cpu", {"UV_TORCH_BACKEND": "auto"}, False, ()),
        ("2.13.0", {}, False, ()),
    ],
)
def test_the_cpu_build_of_torch_comes_from_pips_sources_or_else_from_pytorchs_index(
    pin: str, env: dict[str, str], has_it: bool, flags: tuple[str, ...]
) -> None:
    def dry_run(requirement: str) -> tuple[str, ...]:
        assert requirement == f"torch=={pin}"
        if not has_it:
            raise EnvironmentFailed("no such version")
        return ()

    assert torch_backend({"torch": pin}, env, dry_run) == flags
