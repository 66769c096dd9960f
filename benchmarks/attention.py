"""Does attention show the antecedent of a pronoun? And does leaving words out? Both beside chance.

    python -m benchmarks.attention RUN [--checkpoint best] [--language pt] [--sentences 400]

Sentences with two nouns, of which one agrees with the pronoun (`kgpt.evaluation.antecedents`). Attention: on which of
the two nouns the pronoun's token draws more. Ablation: without which of them the pronoun becomes less probable. The
best head is chosen on one half of the sentences and measured on the other. Without RUN, `demo` is trained first.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kgpt.evaluation.antecedents import CHANCE, LANGUAGES, Agreement, Sentence, agreement, sentences
from kgpt.runs import RunFolder, find_run

Score = Callable[[Sentence], tuple[float, float]]


class Reader:
    """A model that reads each sentence once, whatever is asked of it."""

    def __init__(self, run: RunFolder, checkpoint: str) -> None:
        from kgpt.model.weights import load_checkpoint_model
        from kgpt.text.tokenizer import Tokenizer

        self.model = load_checkpoint_model(run, run.checkpoint(checkpoint))
        self.tokenizer = Tokenizer.load(run.tokenizer_folder)
        self._layers: dict[str, list[Any]] = {}

    def spans(self, text: str, nouns: tuple[str, str]) -> tuple[list[int], list[tuple[int, int]]]:
        """The tokens of a text, and the spans of its two nouns."""
        from kgpt.inference.words import text_of, words_of

        ids = self.tokenizer.encode(text)
        contents = [self.tokenizer.token_bytes(token) for token in ids]
        words = {text_of(contents, span): span for span in words_of(contents)}
        return ids, [words[noun] for noun in nouns]

    def layers(self, sentence: Sentence) -> list[Any]:
        """For each layer the weights (H, T, T)."""
        import numpy as np

        if sentence.text not in self._layers:
            ids = self.tokenizer.encode(sentence.text)
            found = self.model.attentions(np.array([ids], dtype="int32"))
            self._layers[sentence.text] = [np.asarray(each[0], dtype="float64") for each in found]
        return self._layers[sentence.text]

    def attention(self, combine: Callable[[list[Any]], Any]) -> Score:
        """What the pronoun draws on each noun, by a matrix (T, T) made of the layers' weights."""
        from kgpt.inference.attention_reading import by_word

        def score(sentence: Sentence) -> tuple[float, float]:
            _, spans = self.spans(sentence.text, sentence.nouns)
            first, second = by_word(combine(self.layers(sentence))[-1], spans)
            return float(first), float(second)

        return score

    def ablation(self, sentence: Sentence) -> tuple[float, float]:
        """How much less probable the pronoun is without each noun, as a share of what it was."""
        from kgpt.inference.ablation import ablate

        ids, spans = self.spans(sentence.before, sentence.nouns)
        pronoun = self.tokenizer.encode(sentence.text)[len(ids)]
        found = ablate(self.model, ids, spans, self.tokenizer.end_of_text, pronoun)
        if found is None:
            raise RuntimeError("An ablation that nobody stops has a result.")
        return 1 - found.without[0] / found.probability, 1 - found.without[1] / found.probability

    def preference(self, sentence: Sentence) -> tuple[float, float]:
        """How probable the right pronoun is and the wrong one, in the places of their nouns."""
        from kgpt.inference.ablation import next_token_probabilities

        ids = self.tokenizer.encode(sentence.before)
        right, wrong = (
            self.tokenizer.encode(sentence.before + pronoun)[len(ids)]
            for pronoun in (sentence.pronoun, sentence.other_pronoun)
        )
        chances_V = next_token_probabilities(self.model, [ids])[0]
        pair = float(chances_V[right]), float(chances_V[wrong])
        return pair if sentence.antecedent == 0 else (pair[1], pair[0])


def measure(reader: Reader, asked: list[Sentence]) -> list[tuple[str, Agreement]]:
    """Each way to find the antecedent, and how often it did."""
    import numpy as np

    from kgpt.inference.attention_reading import rolled_out

    rows = [
        ("nearest noun", agreement(asked, lambda sentence: (0.0, 1.0))),
        (
            "attention, mean of all heads",
            agreement(asked, reader.attention(lambda each: np.mean(each, axis=(0, 1)))),
        ),
    ]
    for layer in range(reader.model.config.num_layers):
        score = reader.attention(lambda each, layer=layer: each[layer].mean(axis=0))
        rows.append((f"attention, layer {layer + 1}", agreement(asked, score)))
    rows.append(_best_head(reader, asked))
    rollout = reader.attention(lambda each: rolled_out([layer.mean(axis=0) for layer in each]))
    rows.append(("attention, rolled out", agreement(asked, rollout)))
    rows.append(("ablation", agreement(asked, reader.ablation)))
    rows.append(("the model prefers the pronoun", agreement(asked, reader.preference)))
    return rows


def _best_head(reader: Reader, asked: list[Sentence]) -> tuple[str, Agreement]:
    half = len(asked) // 2 // 4 * 4  # as many of each kind
    config = reader.model.config
    scores = {
        (layer, head): reader.attention(lambda each, layer=layer, head=head: each[layer][head])
        for layer in range(config.num_layers)
        for head in range(config.num_heads)
    }
    best = max(scores, key=lambda place: agreement(asked[:half], scores[place]).share)
    name = f"attention, best head ({best[0] + 1}.{best[1] + 1})"
    return name, agreement(asked[half:], scores[best])


def report(run: RunFolder, checkpoint: str, language: str, count: int) -> None:
    """Measure a run and print a table."""
    start, reader = time.perf_counter(), Reader(run, checkpoint)
    asked = sentences(language, count)  # type: ignore[arg-type]
    print(
        f"{run.name}, {language}: {count} sentences such as {asked[0].text!r}; chance {CHANCE:.0%}"
    )
    for name, found in measure(reader, asked):
        low, high = found.interval
        print(f"  {name:32} {found.share:6.1%}  ({low:.1%} to {high:.1%}, {found.count} sentences)")
    print(f"  {time.perf_counter() - start:.0f} s", flush=True)


def trained_demo(folder: Path) -> RunFolder:
    """The demo, trained."""
    from kgpt.presets import preset
    from kgpt.text.prepare import prepare
    from kgpt.training.trainer import train

    data = folder / "encyclopedia"
    prepare(["encyclopedia"], output=data, vocabulary_size=4096)
    config = dataclasses.replace(preset("demo"), data=str(data), run="demo")
    return train(config, saved_models=folder / "runs").run


def main(arguments: list[str] | None = None) -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention", description=__doc__)
    parser.add_argument("run", nargs="?", help="by default the demo, trained now")
    parser.add_argument("--saved-models", metavar="DIR")
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--language", choices=LANGUAGES, default="pt")
    parser.add_argument("--sentences", type=int, default=400)
    args = parser.parse_args(arguments if arguments is not None else [])
    with tempfile.TemporaryDirectory() as folder:
        run = find_run(args.run, args.saved_models) if args.run else trained_demo(Path(folder))
        report(run, args.checkpoint, args.language, args.sentences)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
