"""What happens after every training step: losses noted, rows logged, the heart beaten, stop requests heard.

In: Keras' batch events. Out: rows in `metrics.jsonl`, the state in `status.json`, events for a `Reporter`.
"""

from __future__ import annotations

import collections
import math
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import keras
import numpy as np

from kgpt.config import TrainConfig
from kgpt.files import append_json_line
from kgpt.runs import RunFolder, State
from kgpt.training.divergence import OVERFLOWS_IN_A_ROW, RECENT, steps_gone_wrong
from kgpt.training.limits import steps_in_force
from kgpt.training.processes import Processes
from kgpt.training.progress import Progress
from kgpt.training.schedules import schedule_factor
from kgpt.training.speed import utilization

HEARTBEAT_SECONDS = 2.0


class Reporter(Protocol):
    """Whoever wants to see a training run as it goes."""

    def message(self, text: str) -> None:
        """A line for people."""

    def row(self, row: dict[str, Any], steps: int) -> None:
        """A new row of `metrics.jsonl`; `steps` is the number of steps of the whole run."""


class Silence:
    """A reporter that reports nothing."""

    def message(self, text: str) -> None:
        """Nothing."""

    def row(self, row: dict[str, Any], steps: int) -> None:
        """Nothing."""


class Guarded:
    """A reporter whose terminal may go away while training goes on."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter: Reporter = reporter

    def message(self, text: str) -> None:
        """Pass it on, as long as somebody listens."""
        try:
            self._reporter.message(text)
        except (OSError, ValueError):  # closed
            self._reporter = Silence()

    def row(self, row: dict[str, Any], steps: int) -> None:
        """Pass it on, as long as somebody listens."""
        try:
            self._reporter.row(row, steps)
        except (OSError, ValueError):
            self._reporter = Silence()


class StopAsked(Exception):
    """The run was asked to stop in the middle of something that can be done again."""


class StopRequest:
    """Set by Ctrl-C, SIGTERM or SIGHUP: training ends after the current step, with everything saved."""

    def __init__(self, processes: Processes | None = None) -> None:
        self.signal: int | None = None
        self._heard: int | None = None
        self._processes = processes or Processes()

    def agree(self) -> None:
        """Let all processes of a run know of a signal that one of them has had.

        Raises:
            KgptFailure: another process has failed.
        """
        if not self._processes.is_alone:
            self.signal = self._processes.agree(self._heard)

    def check(self) -> None:
        """End here if the run shall stop.

        Raises:
            StopAsked: it shall.
        """
        self.agree()
        if self.signal is not None:
            raise StopAsked

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals inside the block; a second Ctrl-C interrupts at once.

        What the caller has told the process to ignore (`nohup` does so with SIGHUP) stays ignored.
        """
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        caught = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
        try:
            previous = {number: signal.signal(number, self._note) for number in caught}
        except ValueError:  # not the main thread: whoever owns it handles signals
            yield
            return
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._heard is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._heard = number
        if self._processes.is_alone:
            self.signal = number


class LastStepLoss(keras.metrics.Metric):
    """The loss of the latest step. Keras' own tracker gives the mean since the epoch began, which no log can use."""

    def __init__(self) -> None:
        super().__init__(name="loss", dtype="float32")
        self.value = self.add_variable((), initializer="zeros", name="value")

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        """Keep `value`."""
        self.value.assign(value)

    def result(self) -> Any:
        """The value kept."""
        return keras.ops.convert_to_tensor(self.value)


class Recorder(keras.callbacks.Callback):
    """Writes a run's rows and status while `fit` goes on."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        progress: Progress,
        reporter: Reporter,
        stop: StopRequest,
        tokens_until: Callable[[int], int],
        matrix_flops: float | None,
    ) -> None:
        super().__init__()
        self.run, self.config, self.progress = run, config, progress
        self.reporter, self.stop = reporter, stop
        self.tokens_until, self.matrix_flops = tokens_until, matrix_flops
        self.gone_wrong = 0
        self.state: State = "compiling"
        self._last_heartbeat = 0.0
        self._clock = self._row_clock = time.perf_counter()
        self._row_step = progress.step
        self._step_seconds: collections.deque[float] = collections.deque(maxlen=200)
        self._overflows = 0

    @property
    def seconds_per_step(self) -> float:
        """Median time of the latest steps, the first (which compiles) apart."""
        return statistics.median(self._step_seconds or [0.0])

    def on_train_begin(self, logs: Any = None) -> None:
        """Evaluations lie between two calls of `fit`: their time is no training time."""
        now = time.perf_counter()
        self._row_clock += now - self._clock
        self._clock = now

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the step; log, beat, stop where it is time."""
        loss = float((logs or {})["loss"])
        self._note_time()
        self._note_loss(loss)
        step, now = self.progress.step, self._clock
        if step % self.config.log_every == 0 or step == self.config.steps or self.gone_wrong:
            self._log(now)
        if now - self._last_heartbeat > HEARTBEAT_SECONDS:
            self.beat()
        self.stop.agree()
        if self.gone_wrong or self.stop.signal is not None:
            self.model.stop_training = True

    def count_pause(self) -> None:
        """Add the time since the last step (an evaluation, a checkpoint) to the run's seconds."""
        pause = time.perf_counter() - self._clock
        self.progress.seconds += pause
        self._row_clock += pause
        self._clock += pause

    def start_over(self) -> None:
        """The run has gone back to a checkpoint."""
        self.gone_wrong = self._overflows = 0
        self._row_step, self._row_clock = self.progress.step, time.perf_counter()

    def beat(self) -> None:
        """Tell readers that this process lives."""
        self._last_heartbeat = time.perf_counter()
        state: State = "stopping" if self.stop.signal is not None else self.state
        details = {"rollbacks": self.progress.rollbacks} if self.progress.rollbacks else {}
        self.run.write_status(state, step=self.progress.step, steps=self.config.steps, **details)

    def _note_time(self) -> None:
        now = time.perf_counter()
        step_seconds = now - self._clock
        self.progress.seconds += step_seconds
        self._clock = now
        self.progress.step += 1
        if self.state == "compiling":  # the first step's time is the compiler's
            self.state, self._row_clock, self._row_step = "running", now, self.progress.step
        else:
            self._step_seconds.append(step_seconds)

    def _note_loss(self, loss: float) -> None:
        progress = self.progress
        if self._has_overflown(loss):
            return
        progress.pending_losses.append(loss)
        progress.recent_losses = [*progress.recent_losses, loss][-RECENT:]
        self.gone_wrong = steps_gone_wrong(progress.recent_losses, self.config.spike_deviations)

    def _has_overflown(self, loss: float) -> bool:
        """Whether float16 was not enough for this step: its update was skipped, and its loss says nothing."""
        if not self.model.optimizer.scales_loss or math.isfinite(loss):
            self._overflows = 0
            return False
        self._overflows += 1
        return self._overflows <= OVERFLOWS_IN_A_ROW

    def _log(self, now: float) -> None:
        progress, config = self.progress, self.config
        steps_timed = progress.step - self._row_step
        tokens = self.tokens_until(progress.step)
        new = tokens - self.tokens_until(self._row_step)
        speed = new / (now - self._row_clock) if steps_timed else None
        steps = steps_in_force(config, progress.step - 1)
        factor = schedule_factor(config.optimizer, progress.step - 1, steps)
        losses = progress.pending_losses
        row = {
            "step": progress.step,
            "tokens": tokens,
            "seconds": round(progress.seconds, 3),
            "train_loss": sum(losses) / len(losses) if losses else None,
            "learning_rate": config.optimizer.learning_rate * factor,
            **self._of_optimizer(),
            "tokens_per_second": speed and round(speed, 1),
        }
        if self.matrix_flops:
            row["mfu"] = speed and round(utilization(config, speed, self.matrix_flops), 4)
        append_json_line(self.run.metrics_file, row)
        progress.pending_losses = []
        self._row_clock, self._row_step = now, progress.step
        self.reporter.row(row, config.steps)

    def _of_optimizer(self) -> dict[str, Any]:
        if hasattr(self.model, "jax_state_sync"):  # on JAX, fit keeps the variables' values
            self.model.jax_state_sync()
        optimizer = self.model.optimizer
        values: dict[str, Any] = {"gradient_norm": _number(optimizer.gradient_norm)}
        if optimizer.scales_loss:
            values["loss_scale"] = _number(optimizer.loss_scale)
            values["skipped_updates"] = int(_number(optimizer.skipped_updates))
        return values


def _number(variable: Any) -> float:
    return float(np.array(variable))  # a mirrored variable is an array, and no number
