"""The memory of one step serves the next one."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

STEPS, MEGABYTES = 10, 16
WORK = f"""
import resource, kgpt.model.hardware, tensorflow as tf
x = tf.ones(({MEGABYTES}, 1024, 256))
faults = []
for _ in range({STEPS}):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tf.reduce_sum(tf.sqrt(x + 1.0)).numpy()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[len(faults) // 2])
"""


@pytest.mark.parametrize(("variable", "is_kept"), [(None, True), ("false", False)])
def test_memory_is_kept_from_step_to_step(variable: str | None, is_kept: bool) -> None:
    """Fewer page faults a step than a hundredth of the pages it writes; a user's own choice stands."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CPU_ALLOCATOR_USE_BFC", None)
    if variable:
        environment["TF_CPU_ALLOCATOR_USE_BFC"] = variable
    done = subprocess.run(
        [sys.executable, "-c", WORK], capture_output=True, text=True, env=environment, check=True
    )
    pages = MEGABYTES * 2**20 // resource.getpagesize()
    assert (int(done.stdout) < pages / 100) == is_kept
