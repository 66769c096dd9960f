"""What the demo knows, and the control: the same training on shuffled facts, asked for the true ones.

Trains the `demo` preset twice (three minutes each) in a temporary folder and prints both scores beside the score of
always giving each relation's most common answer.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path


def main() -> None:
    """Train, ask, print."""
    from kgpt.evaluation.recall import encyclopedia_prompts, measure_recall
    from kgpt.inference.generation import load_generator
    from kgpt.presets import preset
    from kgpt.text.prepare import prepare
    from kgpt.training.trainer import train

    prompts = encyclopedia_prompts()
    with tempfile.TemporaryDirectory() as folder:
        for source in ("encyclopedia", "encyclopedia:shuffled"):
            data = Path(folder) / source.replace(":", "-")
            prepare([source], output=data, vocabulary_size=4096)
            config = dataclasses.replace(preset("demo"), data=str(data), run=data.name)
            result = train(config, saved_models=Path(folder) / "runs")
            generator = load_generator(result.run, result.run.checkpoint("last"))
            recall = measure_recall(
                lambda texts, count, g=generator: g.complete_batch(texts, count, stop=(".", "\n")),
                prompts,
            )
            print(
                f"{source:22} {result.steps} steps in {result.seconds:.0f} s, validation loss"
                f" {result.validation_loss:.3f}: {recall.accuracy:.1%} of {len(prompts)} answers right",
                flush=True,
            )
    print(f"{'most common answers':22} {recall.most_common_answer_accuracy():.1%}")
