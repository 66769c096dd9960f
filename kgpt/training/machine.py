"""The machine that shall train: its free memory, its GPU, and how fast it multiplies matrices.

In: what the operating system says. Out: a `Machine`. Neither Keras nor a backend is loaded.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _, number

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

CONTROL_GROUP = Path("/sys/fs/cgroup")
CPUS = Path("/sys/devices/system/cpu")

MATRIX_PROGRAM = """
import sys, time
import numpy as np
size, seconds = 384, float(sys.argv[1])
a = np.random.default_rng(0).random((size, size), dtype=np.float32)
out = a @ a
best, end = float("inf"), time.perf_counter() + seconds
while time.perf_counter() < end:
    start = time.perf_counter()
    np.matmul(a, a, out=out)
    best = min(best, time.perf_counter() - start)
print(2.0 * size**3 / best)
"""
"""A product takes about a millisecond, so that some are undisturbed even where other processes are at work."""

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Machine:
    """Where a run would take place."""

    memory: int
    """Bytes that a new process can take: of main memory, or of the GPU if there is one."""
    described: str
    """The memory and where the number comes from, for people."""
    gpu: str = ""
    """The GPU's name; empty on a machine without one."""


def this_machine(memory: int | None = None) -> Machine:
    """The machine that runs this process; with `memory`, one that has so many bytes and is like it otherwise."""
    found = nvidia_gpu()
    gpu = found[0] if found else ""
    if memory is not None:
        return Machine(memory, f"{gigabytes(memory)}, as given by --memory", gpu)
    if found:
        return Machine(found[1], f"{gigabytes(found[1])}, free on the {gpu}", gpu)
    free = available_memory() + own_memory()
    return Machine(free, f"{gigabytes(free)}, what this machine has free now")


def available_memory() -> int:
    """Bytes of main memory that new processes can take without swapping, within this container's limit."""
    values = _meminfo()
    free = values.get("MemAvailable") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(free, _container_memory())


def own_memory() -> int:
    """Bytes of main memory that this process has already taken, and that a plan counts once more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (
        OSError,
        ValueError,
        IndexError,
    ):  # not Linux, where all of the memory is counted as free
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _meminfo() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def _container_memory() -> int:
    """What the control group of this process may still take; without a limit, more than any machine has."""
    unlimited = 2**63
    folder = CONTROL_GROUP
    for limit_name, use_name in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((folder / limit_name).read_text()) - int((folder / use_name).read_text())
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return unlimited


def nvidia_gpu() -> tuple[str, int] | None:
    """Name and free bytes of the first NVIDIA GPU; None without one, or without its driver's `nvidia-smi`."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    query = [program, "--query-gpu=name,memory.free", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(
            query, capture_output=True, text=True, timeout=10, check=True
        ).stdout
        name, mebibytes = output.splitlines()[0].rsplit(",", 1)
        return name.strip(), int(mebibytes) * 2**20
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return None


def matrix_product_rate(seconds: float = 0.05) -> float:
    """Floating-point operations a second of this machine's float32 matrix products.

    One core's best product of those in `seconds`, times the number of cores: what the machine can do when nobody else
    works on it. A process of its own keeps NumPy to one thread.

    Raises:
        KgptFailure: the process failed.
    """
    command = [sys.executable, "-c", MATRIX_PROGRAM, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    try:
        return float(done.stdout) * cores()
    except ValueError:
        raise KgptFailure(
            _("No matrix products"),
            _("NumPy could not be timed: {stderr}", stderr=done.stderr.strip()[-300:]),
        ) from None


def cores() -> int:
    """Cores that this process may use; two threads of one core count once."""
    try:
        usable = os.sched_getaffinity(0)
    except AttributeError:  # macOS
        return os.cpu_count() or 1
    files = (CPUS / f"cpu{number}" / "topology" / "thread_siblings_list" for number in usable)
    try:
        return len({path.read_text() for path in files})
    except OSError:
        return len(usable)


def parse_bytes(text: str) -> int:
    """A number of bytes from a text such as `8GB`, `8 GiB` or `512M`; without a unit it is bytes.

    Raises:
        KgptError: it is no such text, or not above 0.
    """
    match = re.fullmatch(r"\s*([\d.,_]+(?:e\d+)?)\s*([kmgtp]?i?)b?\s*", text.lower())
    try:
        number = float(match[1].replace(",", "").replace("_", "")) if match else 0.0
        factor = {**UNITS, **BINARY_UNITS}[match[2]] if match else 0
    except (ValueError, KeyError):
        number, factor = 0.0, 0
    if not 1 <= number * factor < 1e30:
        raise KgptError(
            _("Bad amount of memory"),
            _("Expected a number of bytes such as 8GB. Received: {text!r}", text=text),
            _("Units are kB, MB, GB, TB (powers of 1,000) and KiB, MiB, GiB, TiB (of 1,024)."),
        )
    return int(number * factor)


def parse_count(text: str) -> int:
    """A count such as `300e9`, `300B`, `300G`, `0.5M` or `1,000`.

    Raises:
        KgptError: it is no such text, or below 1.
    """
    match = re.fullmatch(r"\s*([\d.,_]+(?:e\+?\d+)?)\s*([kmgbt]?)\s*", text.lower())
    try:
        number = float(match[1].replace(",", "").replace("_", "")) if match else 0.0
    except ValueError:
        number = 0.0
    count = number * {**UNITS, "b": 10**9}[match[2]] if match else 0.0
    if not 1 <= count < 1e30:
        raise KgptError(
            _("Bad number of tokens"),
            _("Expected a number above 0, such as 300e9. Received: {text!r}", text=text),
            _(
                "k, M, G or B, and T stand for thousands, millions, billions, and millions of "
                "millions."
            ),
        )
    return round(count)


def gigabytes(count: float) -> str:
    """Bytes in GB (10**9 bytes), or MB below one tenth of that."""
    return (
        f"{number(count / 1e9, ',.1f')} GB" if count >= 1e8 else f"{number(count / 1e6, ',.0f')} MB"
    )
