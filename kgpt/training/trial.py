"""A short trial of a run in a process of its own: how long a step takes, and how much memory it takes at most.

In: a `TrainConfig`. Out: a `Trial`. The process trains on random tokens, saves one checkpoint into a temporary folder
and evaluates one batch, as a run does; it reads the configuration as JSON on stdin and writes its findings as the last
line of stdout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict, to_dict
from kgpt.errors import KgptFailure
from kgpt.language import _

STEPS = 3
"""Steps that are timed after the first, which compiles."""
TIMED_SECONDS = 1.0


@dataclass(frozen=True)
class Trial:
    """What a few steps of a run took."""

    step_seconds: float
    first_step_seconds: float
    """With compiling."""
    peak_memory: int
    """Largest resident memory of the process, in bytes."""
    peaks: dict[str, int]
    """The largest resident memory of each phase, in bytes, where the system counts phases apart."""
    matrix_flops: float
    """Operations a second of this machine's float32 matrix product, timed before and after."""


def try_out(config: TrainConfig, steps: int = STEPS) -> Trial:
    """Train for 1 + `steps` steps in a child process.

    Raises:
        KgptFailure: the process failed, for example because memory ran out.
    """
    command = [sys.executable, "-m", "kgpt.training.trial", str(steps)]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    finished = subprocess.run(
        command, input=json.dumps(to_dict(config)), capture_output=True, text=True, env=environment
    )
    if finished.returncode:
        lines = finished.stderr.strip().splitlines() or [_("It said nothing.")]
        reason = (
            _("It was killed by signal {returncode}.", returncode=-finished.returncode)
            if finished.returncode < 0
            else ""
        )
        raise KgptFailure(
            _("The trial failed"),
            f"{reason} {lines[-1][:500]}".strip(),
            _("Plan without --measure, or with a smaller --batch-size."),
        )
    return Trial(**json.loads(finished.stdout.splitlines()[-1]))


def main() -> None:
    """The child: measure, and print a `Trial` as JSON."""
    config = from_dict(json.load(sys.stdin))
    trial = _measure(config, int(sys.argv[1]))
    print(json.dumps(asdict(trial)))


def _measure(config: TrainConfig, steps: int) -> Trial:
    from kgpt.training.machine import matrix_product_rate

    rate = matrix_product_rate()
    peaks: dict[str, int] = {}
    with _peak_of("program", peaks):
        import numpy as np

        from kgpt.evaluation.loss import LossEvaluator
        from kgpt.evaluation.tokens import InMemoryTokens
        from kgpt.runs import RunFolder
        from kgpt.training.batches import Batches
        from kgpt.training.checkpoints import Progress, save_checkpoint
        from kgpt.training.distribution import get_ready, keep_memory
        from kgpt.training.preparation import compiled_model

        keep_memory(config)
        get_ready()
    length, size = config.model.context_length, config.sequences_per_step
    random = np.random.default_rng(config.seed)
    ids = random.integers(0, config.model.vocabulary_size, length * (4 * size + 1))
    batches = Batches(InMemoryTokens(ids.tolist()), size, length, config.seed)
    with _peak_of("model", peaks):
        model = compiled_model(config)

    def seconds(first: int, count: int) -> float:
        start = time.perf_counter()
        model.fit(batches.from_step(first), steps_per_epoch=count, verbose=0, shuffle=False)
        return time.perf_counter() - start

    with _peak_of("training", peaks):
        first_step = seconds(0, 1)
        step = seconds(1, steps) / steps
        if step < TIMED_SECONDS / steps:  # quick steps: as many as fill a second
            count = int(TIMED_SECONDS / step)
            step = seconds(1 + steps, count) / count
    with _peak_of("saving", peaks), tempfile.TemporaryDirectory() as folder:
        save_checkpoint(RunFolder(Path(folder)), model, Progress(step=steps))
    with _peak_of("evaluation", peaks):
        LossEvaluator(model, end_of_text=0).measure(InMemoryTokens([0] * length), length)
    return Trial(
        step_seconds=step,
        first_step_seconds=first_step,
        peak_memory=max(peaks.values()),
        peaks=peaks,
        matrix_flops=max(rate, matrix_product_rate()),
    )


@contextmanager
def _peak_of(name: str, peaks: dict[str, int]) -> Iterator[None]:
    """Notes the largest resident memory of its block in `peaks`."""
    with suppress(OSError):  # Linux: the high-water mark begins anew
        Path("/proc/self/clear_refs").write_text("5")
    yield
    peaks[name] = peak_memory()


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main()
