"""Pretraining: from a prepared corpus and a configuration to a run folder with checkpoints.

`train` reads as a table of contents. A run that stops, for whatever reason, goes on from its last checkpoint with
`resume=True` as if it had never stopped.
"""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass
from pathlib import Path

from kgpt.config import TrainConfig, to_dict
from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.loss import Loss, LossEvaluator
from kgpt.files import append_json_line, disk_failure, write_json
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator
from kgpt.protocol import GenerateOptions
from kgpt.runs import RunFolder, find_run, new_run, owned
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.callbacks import Recorder, Reporter, Silence, StopRequest
from kgpt.training.checkpoints import (
    Progress,
    mark_validation_loss,
    remove_old_checkpoints,
    restore_last,
    save_checkpoint,
)
from kgpt.training.preparation import (
    check_same_data,
    compiled_model,
    create_run_folder,
    open_corpus,
    remove_rows_after,
    training_batches,
    update_configuration,
    with_epochs,
    with_vocabulary,
)

TIMING_STEPS = 20
"""Steps after which a time budget is turned into a number of steps."""
SAMPLE_TOKENS = 40


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    run: RunFolder
    steps: int
    """Updates that the run has seen, over all its processes."""
    seconds: float
    finished: bool
    """False: it was asked to stop before its last step, and can be resumed."""
    validation_loss: float | None
    bits_per_byte: float | None
    tokens_per_second: float | None


def train(
    config: TrainConfig,
    *,
    saved_models: str | Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train a model, or go on with it, until its last step or until it is asked to stop.

    Raises:
        KgptError: configuration, data and run do not go together.
        KgptFailure: the disk is full, the loss is not finite, or no checkpoint is whole.
    """
    corpus = open_corpus(config.data, reporter)
    tokenizer = Tokenizer.load(corpus.tokenizer_folder)
    config = with_vocabulary(config, tokenizer.vocabulary_size)
    config = with_epochs(config, training_batches(config, corpus).steps_per_epoch)
    run = find_run(config.run, saved_models) if resume else new_run(config.run, saved_models)
    if resume:
        check_same_data(run, corpus, tokenizer)
    else:
        create_run_folder(run, config, corpus, tokenizer)
    with owned(run):
        if resume:
            update_configuration(run, config)
        return TrainingSession(run, config, corpus, tokenizer, reporter or Silence()).work()


class TrainingSession:
    """One process's work on a run."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        corpus: Corpus,
        tokenizer: Tokenizer,
        reporter: Reporter,
    ) -> None:
        self.run, self.config, self.corpus = run, config, corpus
        self.tokenizer, self.reporter = tokenizer, reporter
        self.stop = StopRequest()
        self.latest: Loss | None = None

    def work(self) -> TrainResult:
        """Restore, fit, evaluate, save; the status tells how it ended."""
        try:
            self.run.write_status("starting", step=None, steps=self.config.steps)
            with self.stop.listening():
                self.prepare()
                self.fit()
            state = "finished" if self.progress.step >= self.config.steps else "stopped"
            self.run.write_status(state, step=self.progress.step, steps=self.config.steps)  # type: ignore[arg-type]
        except BaseException as error:
            self._tell_failure(error)
            raise
        return self._result(finished=state == "finished")

    def prepare(self) -> None:
        """Build model, optimiser and batches; restore the last checkpoint if there is one."""
        config = self.config
        self.model = compiled_model(config)
        self.progress = restore_last(self.run, self.model, self.say) or Progress()
        self.model.optimizer.total_steps.assign(float(config.steps))
        remove_rows_after(self.run, self.progress.step, self._evaluates_at(self.progress.step))
        self.batches = training_batches(config, self.corpus)
        self.evaluator = LossEvaluator(self.model, self.tokenizer.end_of_text)
        self.generator = Generator(KerasDecoder(self.model), self.tokenizer)
        self.recorder = Recorder(self.run, config, self.progress, self.reporter, self.stop)
        self.say(
            f"{self.model.count_params():,} parameters; {len(self.corpus.tokens('train')):,} training tokens;"
            f" {self.batches.steps_per_epoch:.0f} steps an epoch"
        )

    def fit(self) -> None:
        """Train from one boundary (checkpoint, evaluation) to the next until the last step or a stop request."""
        progress = self.progress
        self.recorder.beat()
        if progress.step and self._evaluates_at(progress.step):
            self._evaluate_and_sample()  # whatever stopped the run may have come before it was done
        while progress.step < self.config.steps and self.stop.signal is None:
            end = self._next_boundary()
            self.model.fit(
                self.batches.from_step(progress.step),
                steps_per_epoch=end - progress.step,
                epochs=1,
                verbose=0,
                shuffle=False,
                callbacks=[self.recorder],
            )
            self._check_finite()
            if self._budget_is_open() and progress.step >= TIMING_STEPS:
                self._fix_steps()
            self._after_segment()

    def evaluate(self) -> None:
        """Measure the whole validation split and let the model write."""
        if not len(self.corpus.tokens("validation")):
            return
        loss = self.evaluator.measure(
            self.corpus.tokens("validation"), self.corpus.validation_bytes
        )
        self.latest = loss
        is_best = mark_validation_loss(self.run, self.progress, loss.loss)
        self.recorder.count_pause()
        row = {
            "step": self.progress.step,
            "tokens": self.progress.step * self.config.tokens_per_step,
            "seconds": round(self.progress.seconds, 3),
            "validation_loss": loss.loss,
            "bits_per_byte": loss.bits_per_byte,
        }
        append_json_line(self.run.metrics_file, row)
        self.reporter.row({**row, "is_best": is_best}, self.config.steps)

    def write_samples(self) -> None:
        """Continue each sample prompt into `samples.jsonl`."""
        for prompt in self.config.sample_prompts or (self._validation_prompt(),):
            options = GenerateOptions(
                max_tokens=SAMPLE_TOKENS, temperature=0.8, seed=self.config.seed
            )
            result = self.generator.generate(prompt, options)
            row = {
                "step": self.progress.step,
                "prompt": prompt,
                "text": result.text,
                **dataclasses.asdict(options),
            }
            append_json_line(self.run.samples_file, row)

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
        if self._budget_is_open():
            following.append(TIMING_STEPS if step < TIMING_STEPS else step + 1)
        return min(config.steps, *following)

    def _after_segment(self) -> None:
        step, config = self.progress.step, self.config
        evaluates = self._evaluates_at(step)
        if not (evaluates or step % config.checkpoint_every == 0 or self.stop.signal is not None):
            return
        save_checkpoint(self.run, self.model, self.progress)  # before what might fail
        if evaluates and (step >= config.steps or self.stop.signal is None):
            self._evaluate_and_sample()
        remove_old_checkpoints(self.run, config.keep)
        self.recorder.count_pause()
        self.recorder.beat()

    def _evaluates_at(self, step: int) -> bool:
        return step >= self.config.steps or step % self.config.evaluate_every == 0

    def _evaluate_and_sample(self) -> None:
        self.evaluate()
        self._try_to_write_samples()

    def _try_to_write_samples(self) -> None:
        try:
            self.write_samples()
        except KgptFailure:
            raise
        except Exception as error:  # a sample is not worth a training run
            self.say(f"No samples at step {self.progress.step}: {error}")

    def _budget_is_open(self) -> bool:
        return self.config.minutes > 0 and self.run.read().get("steps_fixed_at") is None

    def _fix_steps(self) -> None:
        progress, config = self.progress, self.config
        step_seconds = self.recorder.seconds_per_step
        left = config.minutes * 60 - progress.seconds
        # an evaluation's forward pass costs about a third of training on as many tokens
        validation_steps = len(self.corpus.tokens("validation")) / config.tokens_per_step / 3
        each_step = step_seconds * (1 + validation_steps / config.evaluate_every)
        steps = min(config.steps, progress.step + max(1, int(left / each_step)))
        self.config = dataclasses.replace(config, steps=steps)
        self.recorder.config = self.config
        self.model.optimizer.total_steps.assign(float(steps))
        values = self.run.read()
        values["configuration"] = to_dict(self.config)
        write_json(self.run.run_file, {**values, "steps_fixed_at": progress.step})
        self.say(f"{config.minutes:g} minutes: {steps} steps of {1000 * step_seconds:.0f} ms")

    def _check_finite(self) -> None:
        if self.recorder.diverged:
            raise KgptFailure(
                "Training diverged",
                f"The loss is not a finite number at step {self.progress.step}. The last good checkpoint is kept.",
                "Try a lower --learning-rate, or --set optimizer.clip_norm=1.0, under another --run NAME.",
            )

    def _validation_prompt(self) -> str:
        tokens = self.corpus.tokens("validation")
        ids = [int(token) for token in tokens.window(0, min(12, len(tokens)))]
        return self.tokenizer.decode(
            [token for token in ids if token != self.tokenizer.end_of_text]
        )

    def _tell_failure(self, error: BaseException) -> None:
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        title = error.title if isinstance(error, KgptError) else type(error).__name__
        message = error.message if isinstance(error, KgptError) else str(error)[:500]
        try:
            self.run.write_status(
                state,  # type: ignore[arg-type]
                step=self.progress.step if hasattr(self, "progress") else None,
                steps=self.config.steps,
                error={"title": title, "message": message},
            )
            self.say(f"{title}: {message}")
        except KgptFailure:  # the disk is full: the error itself is on its way to the user
            pass

    def _result(self, finished: bool) -> TrainResult:
        speeds = [r["tokens_per_second"] for r in self.run.metrics() if r.get("tokens_per_second")]
        return TrainResult(
            run=self.run,
            steps=self.progress.step,
            seconds=self.progress.seconds,
            finished=finished,
            validation_loss=self.latest.loss if self.latest else self.progress.best_validation_loss,
            bits_per_byte=self.latest.bits_per_byte if self.latest else None,
            tokens_per_second=sorted(speeds)[len(speeds) // 2] if speeds else None,
        )
