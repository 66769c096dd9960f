"""Several devices and processes on JAX: what Keras does not offer itself. See `distribution` and `processes`.

In: the number of CPU devices, who belongs together. Out: a group of processes that can exchange small arrays.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from kgpt.training.meeting import meet

SHUTDOWN_SECONDS = 60
"""How long a process that ends waits for the others to end too."""


def get_ready(cpu_devices: int) -> bool:
    """Split the CPU; False if JAX runs already, with another number of CPUs."""
    if not cpu_devices:
        return True
    try:
        jax.config.update("jax_num_cpu_devices", cpu_devices)
    except RuntimeError:
        return bool(jax.local_device_count("cpu") == cpu_devices)
    return True


def join(address: str, count: int, number: int) -> None:
    """Wait for the other processes, and belong to them from now on; `address` is where the first one listens.

    Raises:
        KgptError, KgptFailure: as `meet`.
    """
    if jax.distributed.is_initialized():
        return
    meet(address, count, number)
    jax.distributed.initialize(
        coordinator_address=address,
        num_processes=count,
        process_id=number,
        shutdown_timeout_seconds=SHUTDOWN_SECONDS,
    )


def everyones(values: Any) -> Any:
    """An array of every process's `values`, by process."""
    return np.asarray(multihost_utils.process_allgather(np.asarray(values)))


def firsts(content: bytes | None) -> bytes:
    """The bytes that the first process gives."""
    size = multihost_utils.broadcast_one_to_all(np.array([len(content or b"")], "int32"))
    padded = np.zeros(-(-int(size[0]) // 4) * 4, "uint8")
    padded[: len(content or b"")] = np.frombuffer(content or b"", "uint8")
    whole = multihost_utils.broadcast_one_to_all(padded.view("uint32"))
    return bytes(np.asarray(whole).view("uint8")[: int(size[0])])
