"""Which precision a machine trains in, where the configuration leaves it open.

In: `auto`, and the devices that Keras sees. Out: float32, bfloat16 or float16.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess

from kgpt.config import Precision, TrainConfig

FIRST_WITH_BFLOAT16 = (8, 0)
"""NVIDIA's compute capability of Ampere, the first generation that multiplies bfloat16 (a T4 has 7.5)."""
FIRST_WITH_FLOAT16 = (7, 0)
"""Of Volta, the first with tensor cores."""


def resolved(config: TrainConfig) -> TrainConfig:
    """The configuration with a precision of this machine in the place of `auto`."""
    if config.precision != "auto":
        return config
    return dataclasses.replace(config, precision=machine_precision())


def machine_precision() -> Precision:
    """float32 on a CPU; on a GPU bfloat16 where it has it, else float16 where that is fast."""
    from kgpt.model.hardware import gpus

    return precision_of(capabilities() if gpus() else [])


def precision_of(capabilities: list[tuple[int, int]]) -> Precision:
    """What all GPUs of these compute capabilities are fast in; float32 where there is none, or none is known."""
    if not capabilities or min(capabilities) < FIRST_WITH_FLOAT16:
        return "float32"
    return "bfloat16" if min(capabilities) >= FIRST_WITH_BFLOAT16 else "float16"


def capabilities() -> list[tuple[int, int]]:
    """Compute capabilities of the NVIDIA GPUs here; empty where `nvidia-smi` is missing or does not know."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^(\d+)\.(\d+)\s*$", output, re.MULTILINE)
    return [(int(major), int(minor)) for major, minor in found]
