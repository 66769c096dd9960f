"""Training: from a task and a configuration to a run folder with checkpoints. `train` is pretraining.

`train` reads as a table of contents. A run that stops, for whatever reason, goes on from its last checkpoint with
`resume=True` as if it had never stopped.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict, to_dict
from kgpt.errors import KgptFailure
from kgpt.files import append_json_line, disk_failure, write_json
from kgpt.packages import optional_package
from kgpt.runs import RunFolder
from kgpt.training.beginning import begun
from kgpt.training.callbacks import Guarded, Recorder, Reporter, Silence, StopAsked, StopRequest
from kgpt.training.checkpoints import (
    CheckpointWriter,
    Progress,
    mark,
    mark_validation_loss,
    remove_leftovers,
    remove_old_checkpoints,
    take_snapshot,
)
from kgpt.training.distribution import Devices, training_devices
from kgpt.training.ending import TrainResult as TrainResult  # handed on
from kgpt.training.ending import median_speed, tell_failure
from kgpt.training.limits import (
    Pace,
    check_every,
    is_timed,
    next_change,
    steps_in_force,
    steps_within,
    steps_within_if_slower,
    with_steps,
)
from kgpt.training.planning import advice_after_out_of_memory, is_out_of_memory
from kgpt.training.preparation import keep_configuration, remove_rows_after
from kgpt.training.pretraining import Pretraining
from kgpt.training.recovery import Restore, recover, restored_by_all, starting_point
from kgpt.training.report import write_report
from kgpt.training.schedules import decay_start
from kgpt.training.speed import matrix_product_rate
from kgpt.training.task import Measured, Task
from kgpt.training.tensorboard import TensorBoard


def train(
    config: TrainConfig,
    *,
    saved_models: str | Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train a model, or go on with it, until its last step or until it is asked to stop.

    Raises:
        KgptError: configuration, data and run do not go together, or a new run does not fit into the memory.
        KgptFailure: the disk is full, memory ran out, the loss is not finite, or no checkpoint is whole.
    """
    if config.tensorboard:
        optional_package("tensorboard", "tensorboard", "--tensorboard")
    reporter = reporter or Silence()
    with training_devices(config, reporter.message) as devices:
        if not devices.processes.is_first:
            reporter = Silence()
        with begun(config, saved_models, resume, reporter, devices) as start:
            task = Pretraining(start.corpus, start.tokenizer)
            result = TrainingSession(start.run, start.config, task, reporter, devices).work()
            return dataclasses.replace(result, run=start.result)


class TrainingSession:
    """One process's work on a run."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        task: Task,
        reporter: Reporter,
        devices: Devices | None = None,
    ) -> None:
        self.run, self.config, self.task = run, config, task
        self.devices = devices or Devices()
        self.processes = self.devices.processes
        self.reporter: Reporter = Guarded(reporter)
        self.stop = StopRequest(self.processes)
        self.writer = CheckpointWriter(self.run)
        self.latest: Measured | None = None
        self.evaluation_is_due = False
        self.evaluation_seconds: list[float] = []

    def work(self) -> TrainResult:
        """Restore, fit, evaluate, save; the status tells how it ended."""
        try:
            self.run.write_status("starting", step=None, steps=self.config.steps)
            with self.stop.listening():
                self.prepare()
                self.fit()
                self.writer.wait()
            self._tell_end()
        except BaseException as error:
            self.processes.fail(error)
            if not is_out_of_memory(error):
                self._tell_failure(error)
                raise
            failure = advice_after_out_of_memory(self.config)
            self._tell_failure(failure)
            raise failure from error
        finally:
            self._write_report()
        return self._result()

    def prepare(self) -> None:
        """Build model, optimiser and batches; restore the last checkpoint if there is one."""
        remove_leftovers(self.run)
        self.model = self.task.model(self.config, self.devices)
        parts = self.run, self.config, self.model, self.say
        self.progress = self._restored(lambda restore: starting_point(*parts, restore))
        if self.progress.step:
            self.say(f"Going on from step {self.progress.step}.")
        self._keep_configuration()
        config = self.config
        remove_rows_after(self.run, self.progress.step, self._evaluates_at(self.progress.step))
        self.batches = self.task.batches(config)
        self.validation = self.task.measure(self.run, config, self.model, self.stop)
        rate = matrix_product_rate(config.precision) if self.task.counts_operations else None
        if config.tensorboard and self.processes.is_first:
            folder = self.run.path / "tensorboard"
            self.reporter = TensorBoard(folder, self.progress.step, self.reporter)
        seen = self.progress, self.reporter, self.stop, self.batches.tokens_until
        self.recorder = Recorder(self.run, config, *seen, rate)
        speed = f"; matrix products at {rate / 1e9:,.0f} GFLOP/s" if rate else "; computing"
        self.say(
            f"{self.task.described(self.model)}; {self.batches.steps_per_epoch:.0f} steps an epoch{speed} in"
            f" {config.precision}{self.devices.described}"
        )
        self.processes.agree()

    def fit(self) -> None:
        """Train from one boundary (checkpoint, evaluation) to the next until the last step or a stop request."""
        progress = self.progress
        self.recorder.beat()
        if progress.step and self._evaluates_at(progress.step):
            self._evaluate_and_sample()  # whatever stopped the run may have come before it was done
        while not self.is_done and self.stop.signal is None:
            end = self._next_boundary()
            steps = steps_in_force(self.config, progress.step)
            self.model.optimizer.total_steps.assign(float(steps))
            self.model.fit(
                self.devices.feed(self.batches, progress.position),
                steps_per_epoch=end - progress.step,
                epochs=1,
                verbose=0,
                shuffle=False,
                callbacks=[self.recorder],
            )
            if self.recorder.gone_wrong:
                self._recover(self.recorder.gone_wrong)
                continue
            self._keep_within_budget()
            self._after_segment()
            self.processes.agree()

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to train."""
        return self.progress.step >= self.config.steps or self._is_stale

    def evaluate(self) -> None:
        """Measure the whole validation split and let the model write.

        Raises:
            StopAsked: the run shall stop.
        """
        if not self.validation.tokens:
            return
        self.latest = found = self.validation.measure()
        if self.processes.is_first:
            is_best = mark_validation_loss(self.run, self.progress, found.loss)
        else:
            is_best = self.progress.note_validation_loss(found.loss)
        self.recorder.count_pause()
        row = {
            "step": self.progress.step,
            "tokens": self.batches.tokens_until(self.progress.step),
            "seconds": round(self.progress.seconds, 3),
            "validation_loss": found.loss,
            **found.values,
        }
        append_json_line(self.run.metrics_file, row)
        self.reporter.row({**row, "is_best": is_best}, self.config.steps)

    def say(self, text: str) -> None:
        """Tell the reporter, and keep it in the run's log."""
        stamp = datetime.datetime.now().isoformat(timespec="seconds")
        try:
            with open(self.run.log_file, "a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")
        except OSError as error:
            raise disk_failure(error, self.run.log_file) from error
        self.reporter.message(text)

    # === Steps of the loop ===

    def _next_boundary(self) -> int:
        step, config = self.progress.step, self.config
        following = [
            (step // every + 1) * every
            for every in (config.evaluate_every, config.checkpoint_every)
        ]
        following.append(next_change(config, step) or config.steps)
        if step < self._stable_end:
            following.append(self._stable_end)
        if self._budget_is_open():
            following.append(step + 5)
        elif config.minutes:
            every = check_every(config)
            following.append((step // every + 1) * every)
        return min(config.steps, *following)

    def _after_segment(self) -> None:
        step, config = self.progress.step, self.config
        started = self.progress.seconds
        evaluates, is_stable_end = self._evaluates_at(step), step == self._stable_end
        saves = evaluates or is_stable_end or step % config.checkpoint_every == 0
        if not (saves or self.stop.signal is not None):
            return
        if not self._save(evaluates, is_stable_end):
            self._recover(0)
            return
        if evaluates:
            self._evaluate_and_sample()
            remove_old_checkpoints(self.run, config.keep)
        self.recorder.count_pause()
        if evaluates:
            self.evaluation_seconds.append(self.progress.seconds - started)
        self.recorder.beat()

    def _save(self, evaluates: bool, is_stable_end: bool) -> bool:
        """Begin to write a checkpoint, unless the weights are no numbers: then False."""
        is_first, step = self.processes.is_first, self.progress.step
        snapshot = take_snapshot(self.model, self.progress) if is_first else None
        if not self.processes.from_first(lambda: bool(snapshot and snapshot.is_finite)):
            return False

        def afterwards() -> None:
            if is_stable_end:
                mark(self.run, "stable", step)
            if not evaluates:
                remove_old_checkpoints(self.run, self.config.keep)

        # before the evaluation, which might fail; in the background where training goes on
        if snapshot:
            wait = evaluates or self.stop.signal is not None
            self.writer.write(snapshot, afterwards, wait=wait)
        return True

    def _evaluates_at(self, step: int) -> bool:
        return step >= self.config.steps or step % self.config.evaluate_every == 0

    def _evaluate_and_sample(self) -> None:
        self.evaluation_is_due = True
        try:
            self.evaluate()
            self._try_to_write_samples()
            self.evaluation_is_due = False
        except StopAsked:
            pass

    def _try_to_write_samples(self) -> None:
        try:
            self.validation.write_samples(self.progress.step)
        except (KgptFailure, StopAsked):
            raise
        except Exception as error:  # a sample is not worth a training run
            self.say(f"No samples at step {self.progress.step}: {error}")

    @property
    def _is_stale(self) -> bool:
        patience = self.config.early_stopping
        return 0 < patience <= self.progress.stale_evaluations

    @property
    def _stable_end(self) -> int:
        """Where the schedule `wsd` begins to lower the rate: the step that a longer run goes on from."""
        is_stable = self.config.optimizer.schedule == "wsd"
        return decay_start(self.config.optimizer, self.config.steps) if is_stable else 0

    def _keep_configuration(self) -> None:
        """Note in `run.json` what this process was asked to change, and from which step on."""
        stored = from_dict(self.run.configuration())
        if self.config.steps != stored.steps:
            steps = self.config.steps
            unchanged = dataclasses.replace(self.config, steps=stored.steps)
            self.config = with_steps(unchanged, self.progress.step, steps)
        keep_configuration(self.run, self.config, self.task.contents)

    def _restored(self, work: Callable[[Restore], Progress]) -> Progress:
        return restored_by_all(self.processes, self.model, work)

    def _recover(self, gone_wrong: int) -> None:
        self.writer.wait()
        parts = self.run, self.config, self.model, self.progress, gone_wrong, self.say
        restored = self._restored(lambda restore: recover(*parts, restore))
        vars(self.progress).update(vars(restored))
        self.recorder.start_over()
        self.recorder.beat()

    # === A time budget ===

    def _budget_is_open(self) -> bool:
        return self.config.minutes > 0 and self.run.read().get("steps_fixed_at") is None

    def _keep_within_budget(self) -> None:
        """Turn minutes into steps once a few are timed; take steps away when the machine has become slower."""
        step, config = self.progress.step, self.config
        if not config.minutes or step >= config.steps:
            return
        pace = self._pace()
        if not self._budget_is_open():
            fewer = steps_within_if_slower(config, step, pace)
            is_due = self._evaluates_at(step) or step % check_every(config) == 0
            if fewer is not None and is_due:
                self._change_steps(fewer)
                self.say(f"Steps have become slower: {fewer} steps fit into the minutes now.")
        elif is_timed(config, step, pace):
            self._change_steps(steps_within(config, step, pace), steps_fixed_at=step)
            milliseconds = 1000 * pace.step_seconds
            self.say(
                f"{config.minutes:g} minutes: {self.config.steps} steps of {milliseconds:.0f} ms"
            )

    def _pace(self) -> Pace:
        step_seconds = self.recorder.seconds_per_step
        # a guess until one is measured: a forward pass costs about a third of training on as many tokens
        tokens = self.batches.tokens_until(self.progress.step) / max(1, self.progress.step)
        guess = step_seconds * self.validation.tokens / max(1.0, tokens) / 3
        measured = self.evaluation_seconds[1:]  # the first one compiles
        pace = [self.progress.seconds, step_seconds, min(measured, default=guess)]
        return Pace(*self.processes.from_first(lambda: pace))

    def _change_steps(self, steps: int, **more: int) -> None:
        self.config = with_steps(self.config, self.progress.step, steps)
        self.recorder.config = self.config
        values = {**self.run.read(), "configuration": to_dict(self.config), **more}
        write_json(self.run.run_file, values)

    # === Words ===

    def _tell_end(self) -> None:
        early = self._is_stale and self.progress.step < self.config.steps
        if early and self._is_finished:
            self.say(
                f"Stopped early: {self.progress.stale_evaluations} evaluations since the best, at step"
                f" {self.progress.best_step}."
            )
        self.run.write_status(
            "finished" if self._is_finished else "stopped",
            step=self.progress.step,
            steps=self.config.steps,
            **({"early": True} if early else {}),
        )

    @property
    def _is_finished(self) -> bool:
        return self.is_done and not self.evaluation_is_due

    def _tell_failure(self, error: BaseException) -> None:
        step = self.progress.step if hasattr(self, "progress") else None
        tell_failure(self.run, self.writer, error, step, self.config.steps, self.say)

    def _write_report(self) -> None:
        if isinstance(self.reporter, TensorBoard):
            self.reporter.close()
        try:
            write_report(self.run)
        except Exception as error:  # a report is not worth a training run
            self.reporter.message(f"No report.html: {error}")

    def _result(self) -> TrainResult:
        return TrainResult(
            run=self.run,
            steps=self.progress.step,
            seconds=self.progress.seconds,
            finished=self._is_finished,
            validation_loss=self.latest.loss if self.latest else self.progress.best_validation_loss,
            bits_per_byte=self.latest.values.get("bits_per_byte") if self.latest else None,
            tokens_per_second=median_speed(self.run),
        )
