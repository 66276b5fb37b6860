"""The locks that ship: one for every environment that is made, pinned, and true to its requirements."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.errors import EnvironmentFailed
from slipway.runtime.locking import compile_lock, environments
from slipway.runtime.locks import LOCKS, read_lock
from slipway.types import DeviceKind, Environment
from tests.wheels import TINY, tiny_environment, write_wheel

MADE = [environment for _, environment in environments()]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("environment", MADE, ids=lambda environment: environment.lock)
def test_a_lock_pins_what_the_requirements_say(environment: Environment) -> None:
    lock = read_lock(environment)
    pins = {plain(name): version.partition("+")[0] for name, version in lock.pins.items()}
    for requirement in environment.requirements:
        name, _, version = requirement.partition("==")
        assert pins[plain(name)] == version
    assert not {plain(name) for name in environment.without} & pins.keys()
    for line in lock.text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+={2,3}[\w.+!]+( ; .+)?", line), line


@pytest.mark.parametrize("environment", MADE, ids=lambda environment: environment.lock)
def test_only_a_lock_for_cpus_takes_the_cpu_build_of_torch(environment: Environment) -> None:
    lock = read_lock(environment)
    gpu = [name for name in lock.pins if name.startswith("nvidia-")]
    if environment.lock.endswith("-cpu"):
        assert lock.pins["torch"].endswith("+cpu")
        assert gpu == []
    else:
        assert re.search(r"^torch===[\d.]+$", lock.text, re.MULTILINE)
        assert bool(gpu) is environment.lock.endswith("-cuda")


def test_there_is_no_lock_too_many() -> None:
    assert {path.stem for path in LOCKS.iterdir()} == {environment.lock for environment in MADE}


def test_the_name_changes_with_the_lock_and_with_python(tmp_path: Path) -> None:
    first = tiny_environment(tmp_path)
    name = read_lock(first, tmp_path).name
    assert re.fullmatch(rf"{TINY}-1\.0-cpu-[0-9a-f]{{8}}", name)
    assert read_lock(replace(first, python="3.99"), tmp_path).name != name
    (tmp_path / f"{TINY}-cpu.txt").write_text(f"{TINY}==1.0\nother==2\n")
    assert read_lock(first, tmp_path).name != name


def test_a_lock_that_does_not_ship_is_told() -> None:
    with pytest.raises(EnvironmentFailed, match="--engine-python"):
        read_lock(Environment("3.11", ("engine==1",), lock="engine-cpu"))


def test_a_lock_is_compiled_from_its_requirements(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, TINY)
    locks = tmp_path / "locks"
    wanted = tiny_environment(locks)
    (locks / f"{TINY}-cpu.txt").unlink()
    assert compile_lock(wanted, DeviceKind.CPU, upgrade=False, locks=locks) == 1
    assert read_lock(wanted, locks).pins == {TINY: "1.0"}
    assert [path.name for path in locks.iterdir()] == [f"{TINY}-cpu.txt"]
    with pytest.raises(EnvironmentFailed, match=r"(?s)resolving .*nothere"):
        compile_lock(replace(wanted, requirements=("nothere==1",)), DeviceKind.CPU, upgrade=True, locks=locks)
    assert [path.name for path in locks.iterdir()] == [f"{TINY}-cpu.txt"]
