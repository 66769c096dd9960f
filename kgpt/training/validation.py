"""What a run shows of its model now and then: the loss of the validation text, and a few lines written.

In: the model as it is. Out: losses, and rows in `samples.jsonl`. A stop request ends it in the middle; a resumed run
begins it anew.
"""

from __future__ import annotations

import dataclasses

from kgpt.config import TrainConfig
from kgpt.evaluation.loss import LossEvaluator
from kgpt.evaluation.tokens import Loss
from kgpt.files import append_json_line
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator
from kgpt.model.gpt import GPT
from kgpt.protocol import GenerateOptions
from kgpt.runs import RunFolder
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.averages import averaged
from kgpt.training.callbacks import StopRequest
from kgpt.training.task import Measured

SAMPLE_TOKENS = 40


class Validation:
    """Measures a model and lets it write, each compiled once."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        corpus: Corpus,
        tokenizer: Tokenizer,
        model: GPT,
        stop: StopRequest,
    ) -> None:
        self.run, self.config, self.corpus = run, config, corpus
        self.tokenizer, self.model, self.stop = tokenizer, model, stop
        self.evaluator = LossEvaluator(
            model, tokenizer.end_of_text, jit_compile=bool(model.jit_compile)
        )
        self.generator = Generator(KerasDecoder(model), tokenizer)

    @property
    def tokens(self) -> int:
        """Tokens of the validation split."""
        return len(self.corpus.tokens("validation"))

    def measure(self) -> Measured:
        """The loss of the whole validation split: that of the weights, and that of their average if there is one.

        Raises:
            StopAsked: the run shall stop.
        """
        self.stop.check()
        loss = self._measure()
        values: dict[str, float | None] = {"bits_per_byte": loss.bits_per_byte}
        if self.model.optimizer.averages:
            with averaged(self.model):
                values["ema_validation_loss"] = self._measure().loss
        return Measured(loss.loss, values)

    def write_samples(self, step: int) -> None:
        """Continue each sample prompt into `samples.jsonl`.

        Raises:
            StopAsked: the run shall stop.
        """
        for prompt in self.config.sample_prompts or (self._prompt(),):
            self.stop.check()
            options = GenerateOptions(
                max_tokens=SAMPLE_TOKENS, temperature=0.8, seed=self.config.seed
            )
            result = self.generator.generate(prompt, options)
            row = {
                "step": step,
                "prompt": prompt,
                "text": result.text,
                **dataclasses.asdict(options),
            }
            append_json_line(self.run.samples_file, row)

    def _measure(self) -> Loss:
        tokens = self.corpus.tokens("validation")
        return self.evaluator.measure(
            tokens, self.corpus.validation_bytes, lambda done, of: self.stop.check()
        )

    def _prompt(self) -> str:
        tokens = self.corpus.tokens("validation")
        ids = [int(token) for token in tokens.window(0, min(12, len(tokens)))]
        return self.tokenizer.decode(
            [token for token in ids if token != self.tokenizer.end_of_text]
        )
