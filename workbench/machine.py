"""The machine that the workbench runs on: processor, memory, disk, GPUs, and what is installed.

Out: plain records, read anew at each call. GPUs are those that `nvidia-smi` names; without it there are none. Knows no
Textual, and imports none of the packages whose versions it tells.
"""

from __future__ import annotations

import csv
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "kgpt",
    "keras",
    "tensorflow",
    "keras-nlp",
    "tokenizers",
    "ai-edge-litert",
    "numpy",
    "textual",
    "jax",
)
GPU_FIELDS = (
    "index",
    "name",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "temperature.gpu",
    "driver_version",
)
GPU_SECONDS = 5.0
"""How long nvidia-smi may take: a driver in trouble can make it hang."""
MEBIBYTE = 2**20
IDLE_BYTES = 1e9
"""The driver itself takes up to several hundred megabytes of a GPU that nobody uses."""


@dataclass(frozen=True)
class Gpu:
    """A GPU; what the driver does not tell is None."""

    index: int
    name: str
    busy: float | None
    """From 0 to 1."""
    used_bytes: float | None
    total_bytes: float | None
    celsius: float | None
    driver: str


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU."""

    pid: int
    name: str
    used_bytes: float | None


@dataclass(frozen=True)
class GpuUse:
    """The GPUs, and who computes on them."""

    gpus: tuple[Gpu, ...] = ()
    processes: tuple[GpuProcess, ...] = ()

    @property
    def used_bytes(self) -> float:
        """Memory in use on all of them, as far as the driver tells."""
        return sum(gpu.used_bytes or 0.0 for gpu in self.gpus)

    def bytes_of(self, pid: int) -> float | None:
        """Memory that a process uses; None where it uses none.

        In a container nvidia-smi names no process, or those of another space of numbers. Then all memory in use counts,
        once it is more than the driver's own.
        """
        own = [item.used_bytes for item in self.processes if item.pid == pid]
        if own:
            return sum(used or 0.0 for used in own) or self.used_bytes
        is_told = any(_is_alive(item.pid) for item in self.processes)
        return self.used_bytes if not is_told and self.used_bytes > IDLE_BYTES else None


@dataclass(frozen=True)
class Load:
    """What is in use now."""

    cpu: float
    """Of all cores together, from 0 to 1, since the call before."""
    cores: int
    used_bytes: int
    total_bytes: int
    gpus: tuple[Gpu, ...] = ()
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True)
class Disk:
    """A disk, and what of ours lies on it."""

    folders: tuple[Path, ...]
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Reading:
    """All of it, read at once."""

    load: Load
    disks: tuple[Disk, ...]
    processor: str
    system: str
    versions: dict[str, str]
    environment: dict[str, str]


def read(folders: Sequence[Path]) -> Reading:
    """Load, the disks of these folders, and what does not change."""
    return Reading(load(), disks(folders), processor(), system(), versions(), environment())


def load() -> Load:
    """Processor, memory and GPUs now."""
    import psutil

    memory = psutil.virtual_memory()
    gpus = read_gpus()
    return Load(
        cpu=psutil.cpu_percent() / 100,
        cores=os.cpu_count() or 1,
        used_bytes=memory.total - memory.available,
        total_bytes=memory.total,
        gpus=gpus,
        processes=read_gpu_processes() if gpus else (),
    )


def disks(folders: Sequence[Path]) -> tuple[Disk, ...]:
    """The disks that folders lie on, or will, each once; what is not to be had is left out."""
    found: dict[int, Disk] = {}
    for folder in dict.fromkeys(folders):
        place = folder.absolute()
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            usage, device = shutil.disk_usage(place), place.stat().st_dev
        except OSError:
            continue
        before = found[device].folders if device in found else ()
        found[device] = Disk((*before, folder), usage.free, usage.total)
    return tuple(found.values())


def has_gpu() -> bool:
    """Whether NVIDIA's driver is installed; it may still find no GPU."""
    return shutil.which("nvidia-smi") is not None


def read_gpu_use() -> GpuUse:
    """The GPUs and who uses them."""
    gpus = read_gpus()
    return GpuUse(gpus, read_gpu_processes() if gpus else ())


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi names; none where it is not there or fails."""
    found = []
    for row in _query("gpu", GPU_FIELDS):
        index, name, busy, used, total, celsius, driver = row
        if not index.isdigit():
            continue
        share = _number(busy)
        found.append(
            Gpu(
                int(index),
                name,
                None if share is None else share / 100,
                _mebibytes(used),
                _mebibytes(total),
                _number(celsius),
                driver,
            )
        )
    return tuple(found)


def read_gpu_processes() -> tuple[GpuProcess, ...]:
    """Who computes on the GPUs."""
    rows = _query("compute-apps", ("pid", "process_name", "used_memory"))
    return tuple(
        GpuProcess(int(pid), name, _mebibytes(used)) for pid, name, used in rows if pid.isdigit()
    )


def _query(what: str, fields: Sequence[str]) -> list[list[str]]:
    """The rows of `nvidia-smi --query-...`, each with as many cells as there are fields."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-{what}={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GPU_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    if done.returncode:
        return []
    rows = csv.reader(done.stdout.splitlines(), skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows if len(row) == len(fields)]


def _is_alive(pid: int) -> bool:
    """Whether there is a process of this number on this machine, or in this container."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _number(text: str) -> float | None:
    """A number; None for `[N/A]` and the like."""
    try:
        return float(text)
    except ValueError:
        return None


def _mebibytes(text: str) -> float | None:
    number = _number(text)
    return None if number is None else number * MEBIBYTE


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """What is installed, by name; without importing any of it."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def system() -> str:
    """`Linux 6.1 x86_64`."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def environment() -> dict[str, str]:
    """The variables that change what kgpt does, where they are set; no others, for they may be secret."""
    names = (
        "KERAS_BACKEND",
        "KGPT_DATA",
        "KGPT_SAVED_MODELS",
        "KGPT_CPU_DEVICES",
        "TERM",
        "COLORTERM",
        "NO_COLOR",
    )
    return {name: os.environ[name] for name in names if name in os.environ}
