"""What this machine offers: cores, memory and GPUs, as cgroups, affinity and drivers tell. Read fresh each time."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from slipway.types import DeviceKind, Gpu, Machine

_CGROUP = Path("/sys/fs/cgroup")
_MIB = 1024**2
_QUERY_TIMEOUT_S = 10


def detect_machine() -> Machine:
    """Describe this host. Drivers that do not answer count as no GPU."""
    total, available = _memory()
    return Machine(_cores(), total, available, _gpus(), platform.system())


def _cores() -> int:
    """Cores this process may use: the affinity mask, cut by the cgroup's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def _memory() -> tuple[int, int]:
    """Total and available bytes: /proc/meminfo, cut by the cgroup's limit."""
    if platform.system() == "Darwin":
        return _memory_of_darwin()
    lines = (line.split() for line in _read(Path("/proc/meminfo")).splitlines())
    kib = {fields[0].rstrip(":"): int(fields[1]) for fields in lines if len(fields) > 1}
    total, available = kib.get("MemTotal", 0) * 1024, kib.get("MemAvailable", 0) * 1024
    limit, used = _read(_CGROUP / "memory.max"), _read(_CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        total = min(total, int(limit))
        available = min(available, max(0, int(limit) - int(used)))
    return total, available


def _memory_of_darwin() -> tuple[int, int]:
    total = int(_ask("sysctl", "-n", "hw.memsize") or 0)
    return total, total * 3 // 4  # macOS keeps what it can in use; a quarter is left to it


def _gpus() -> tuple[Gpu, ...]:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        total, available = _memory_of_darwin()
        return (Gpu(DeviceKind.METAL, 0, "Apple GPU", total, available),)
    return _cuda() or _rocm()


def _cuda() -> tuple[Gpu, ...]:
    text = _ask("nvidia-smi", "--query-gpu=index,name,memory.total,memory.free", "--format=csv,noheader,nounits")
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    return tuple(
        Gpu(DeviceKind.CUDA, int(row[0]), row[1], int(row[2]) * _MIB, int(row[3]) * _MIB)
        for row in rows
        if len(row) == 4 and row[0].isdigit() and row[2].isdigit() and row[3].isdigit()
    )


def _rocm() -> tuple[Gpu, ...]:
    text = _ask("rocm-smi", "--showmeminfo", "vram", "--csv")
    rows = [line.split(",") for line in text.splitlines() if line.startswith("card")]
    return tuple(
        Gpu(DeviceKind.ROCM, number, row[0], int(row[1]), int(row[1]) - int(row[2]))
        for number, row in enumerate(rows)
        if len(row) >= 3 and row[1].isdigit() and row[2].isdigit()
    )


def _ask(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        return ""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
