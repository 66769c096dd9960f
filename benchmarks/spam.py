"""Spam among text messages: a small base trained here on the training part's messages, tuned to label, and measured.

Needs the SMS Spam Collection (Almeida et al., 2011; 5,574 messages, a label and a text a line) under `KGPT_SMS_SPAM`.
For five seeds each: the balanced set as published (copies stay), the balanced set without copies, the whole set, and
the second on a base of width 256, all weights of it and adapters of rank 8. Beside each stands TF-IDF with logistic
regression from scikit-learn on the same parts, of words and of character n-grams. Prints medians on the test parts.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEEDS = (1, 2, 3, 4, 5)
VOCABULARY = 1000


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    balance: bool = True
    drops_copies: bool = True
    width: int = 128
    rank: int = 0


CASES = (
    Case("balanced, as published", drops_copies=False),
    Case("balanced, no copies"),
    Case("whole, no copies", balance=False),
    Case("no copies, width 256", width=256),
    Case("no copies, width 256, rank 8", width=256, rank=8),
)


def main(seeds: Sequence[int] = SEEDS, names: Sequence[str] = ()) -> None:
    """Train, label, print."""
    file = os.environ.get("KGPT_SMS_SPAM")
    if not file:
        print("Set KGPT_SMS_SPAM to the file SMSSpamCollection.")
        return
    for case in CASES:
        if names and case.name not in names:
            continue
        rows = []
        for seed in seeds:
            rows.append(measured(file, case, seed))
            print(
                case.name,
                seed,
                {key: round(value, 4) for key, value in rows[-1].items()},
                file=sys.stderr,
                flush=True,
            )
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(
            f"{case.name:30} accuracy {middle['accuracy']:.2%}  F1 of spam {middle['f1']:.4f}"
            f"  {middle['share']:.1%} of weights train  {middle['seconds']:.0f} s, pretraining included"
            f"   TF-IDF words {middle['words']:.2%} (F1 {middle['words_f1']:.4f})"
            f"  characters {middle['characters']:.2%} (F1 {middle['characters_f1']:.4f})",
            flush=True,
        )


def measured(file: str, case: Case, seed: int) -> dict[str, float]:
    """Figures of one run, and those of scikit-learn on the same parts."""
    found, parts = read_parts(file, case, seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        base = pretrained(parts, case, seed, Path(name))
        outcome = tuned(base, found, file, case, seed)
        figures: Any = outcome.results or {}
        seconds = time.perf_counter() - began
        share = trained_share(outcome.training.run.path / "log.txt")
    return {
        "accuracy": figures["test"]["accuracy"],
        "f1": figures["test"]["by_label"]["spam"]["f1"],
        "validation": figures["validation"]["accuracy"],
        "validation_loss": figures["validation"]["loss"],
        "seconds": seconds,
        "share": share,
        **of_scikit_learn(parts),
    }


def read_parts(file: str, case: Case, seed: int) -> tuple[Any, Any]:
    """The messages, and the parts that fine-tuning will make of them."""
    from kgpt.finetune_config import ClassifyConfig
    from kgpt.text.labelled import read_examples
    from kgpt.text.parting import parted

    found = read_examples(file, drop_copies=case.drops_copies)
    split, together = ClassifyConfig().split, case.drops_copies
    return found, parted(found.examples, split, seed, balance=case.balance, keep_together=together)


def pretrained(parts: Any, case: Case, seed: int, folder: Path) -> Any:
    """A base that has read the training part's messages, without their labels."""
    from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
    from kgpt.text.prepare import prepare
    from kgpt.training.trainer import train

    messages = "".join(example.text + "\n" for example in parts.train)
    (folder / "messages.txt").write_text(messages, encoding="utf-8")
    prepare(
        [folder / "messages.txt"], folder / "messages", vocabulary_size=VOCABULARY,
        documents="line",
    )  # fmt: skip
    model = ModelConfig(
        context_length=128, num_layers=1, num_heads=4, width=case.width, positions="rotary",
        feed_forward_width=2 * case.width, norm="rms", qk_norm=True, activation="swiglu",
        bias=False, dropout=0.1,
    )  # fmt: skip
    config = TrainConfig(
        data=str(folder / "messages"), run="base", model=model, epochs=1.0, batch_size=16,
        seed=seed, optimizer=OptimizerConfig(name="muon", warmup_steps=2), xla="off",
    )  # fmt: skip
    return train(config, saved_models=folder / "runs").run


def tuned(base: Any, found: Any, file: str, case: Case, seed: int) -> Any:
    """The base made a classifier."""
    from kgpt.config import OptimizerConfig, TrainConfig
    from kgpt.finetune_config import ClassifyConfig, LoraConfig
    from kgpt.model.tensors import model_config
    from kgpt.training.finetuning import finetune_classifier, plan_classifier

    settings = ClassifyConfig(
        pooling="mean",
        balance=case.balance,
        duplicates="drop" if case.drops_copies else "keep",
        lora=LoraConfig(rank=case.rank, alpha=16.0),
    )
    rate = 1e-2 if case.rank else 5e-3
    config = TrainConfig(
        data=file, run="spam", model=model_config(base), seed=seed, xla="off",
        optimizer=OptimizerConfig(learning_rate=rate, warmup_steps=20, weight_decay=0.05),
        batch_size=32, epochs=12.0 if case.balance else 5.0, label_smoothing=0.05,
        early_stopping=4,
    )  # fmt: skip
    saved_models = base.path.parent
    plan = plan_classifier(base, base.checkpoint(), found, config, settings, saved_models)
    return finetune_classifier(plan)


def trained_share(log: Path) -> float:
    """The share of the weights that trained, from what the run said: `N of M parameters train`."""
    import re

    found = re.search(r"([\d,]+) of ([\d,]+) parameters train", log.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{log} does not say what trained")
    trained, whole = (int(text.replace(",", "")) for text in found.groups())
    return trained / whole


def of_scikit_learn(parts: Any) -> dict[str, float]:
    """Accuracy and F1 of spam of TF-IDF with logistic regression on the test part.

    The strength of the regularisation is the one that is best on the validation part.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    text = {name: [example.text for example in part] for name, part in parts}
    label = {name: [example.label for example in part] for name, part in parts}
    kinds = {
        "words": TfidfVectorizer(),
        "characters": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    }
    found = {}
    for kind, vectors in kinds.items():
        x = {"train": vectors.fit_transform(text["train"])}
        x |= {name: vectors.transform(text[name]) for name in ("validation", "test")}
        models = [
            LogisticRegression(C=strength, max_iter=2000).fit(x["train"], label["train"])
            for strength in (1, 10, 100)
        ]
        best = max(models, key=lambda made: made.score(x["validation"], label["validation"]))
        found[kind] = float(best.score(x["test"], label["test"]))
        given = best.predict(x["test"])
        found[f"{kind}_f1"] = float(f1_score(label["test"], given, pos_label="spam"))
    return found


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        [int(item) for item in given if item.isdigit()] or SEEDS,
        [item for item in given if not item.isdigit()],
    )
