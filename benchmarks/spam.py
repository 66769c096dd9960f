"""Spam among text messages: a small base trained here on the training part's messages, tuned to label, and measured.

Needs the SMS Spam Collection (Almeida et al., 2011; 5,574 messages, a label and a text a line) under `KGPT_SMS_SPAM`.
For five seeds each: the balanced set as published (copies stay), the balanced set without copies, the whole set, and
the second on a base of width 256, all weights of it and adapters of rank 8. Beside each stands TF-IDF with logistic
regression from scikit-learn on the same parts, of words and of character n-grams; all of them read the texts in lower
case with every digit 0. Prints medians on the test parts, the time of all three commands, the memory of the last,
and how many of twenty new messages, some of them Portuguese, get the right label.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands import kgpt

if TYPE_CHECKING:
    from kgpt.text.parting import Parts

SEEDS = (1, 2, 3, 4, 5)
VOCABULARY = 1000
CLEANING = "lower,digits"
NEW = Path(__file__).with_name("new_messages.tsv")
"""Twenty messages written for this, a label and a text a line; six of them are Portuguese."""


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
            f" ({middle['processor']:.0f} s of processor time)  {middle['gigabytes']:.3f} GB"
            f"  {middle['new']:.0f} new messages right"
            f"   TF-IDF words {middle['words']:.2%} (F1 {middle['words_f1']:.4f})"
            f"  characters {middle['characters']:.2%} (F1 {middle['characters_f1']:.4f})",
            flush=True,
        )


def measured(file: str, case: Case, seed: int) -> dict[str, float]:
    """Figures of one run, and those of scikit-learn on the same parts."""
    parts = read_parts(file, case, seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        processor = pretrain(parts, case, seed, Path(name))
        done = kgpt(Path(name), *tuning(file, case, seed))
        figures = done.result
        seconds = time.perf_counter() - began
        share = trained_share(Path(figures["run"]) / "log.txt")
        new = new_messages(Path(name))
    return {
        "accuracy": figures["test"]["accuracy"],
        "f1": figures["test"]["by_label"]["spam"]["f1"],
        "validation": figures["validation"]["accuracy"],
        "validation_loss": figures["validation"]["loss"],
        "seconds": seconds,
        "processor": processor + done.processor_seconds,
        "gigabytes": done.peak_bytes / 1e9,
        "share": share,
        "new": new,
        **of_scikit_learn(parts),
    }


def read_parts(file: str, case: Case, seed: int) -> Parts:
    """The parts that fine-tuning will make of the messages."""
    from kgpt.finetune_config import ClassifyConfig
    from kgpt.text.labelled import read_examples
    from kgpt.text.parting import parted

    found = read_examples(file, drop_copies=case.drops_copies)
    split, together = ClassifyConfig().split, case.drops_copies
    return parted(found.examples, split, seed, balance=case.balance, keep_together=together)


def pretrain(parts: Parts, case: Case, seed: int, folder: Path) -> float:
    """Make the run `base` in `folder`: it has read the training part's messages, without their labels.

    Gives the seconds of processor time that this took.
    """
    messages, data = folder / "messages.txt", folder / "messages"
    messages.write_text("".join(f"{example.text}\n" for example in parts.train), encoding="utf-8")
    prepared = kgpt(
        folder, "prepare", str(messages), "--output", str(data), "--vocab-size", str(VOCABULARY),
        "--documents", "line", "--clean", CLEANING,
    )  # fmt: skip
    values = {
        "model.context_length": 128, "model.num_layers": 1, "model.num_heads": 4,
        "model.width": case.width, "model.feed_forward_width": 2 * case.width,
        "model.positions": "rotary", "model.norm": "rms", "model.qk_norm": "true",
        "model.activation": "swiglu", "model.bias": "false", "model.dropout": 0.1,
        "model.tied_head": "false", "optimizer.name": "muon", "optimizer.warmup_steps": 10,
        "xla": "off",
    }  # fmt: skip
    trained = kgpt(
        folder, "train", "--data", str(data), "--run", "base", "--epochs", "10",
        "--batch-size", "16", "--seed", str(seed), *settings(values),
    )  # fmt: skip
    return prepared.processor_seconds + trained.processor_seconds


def tuning(file: str, case: Case, seed: int) -> list[str]:
    """The command that makes a classifier of the base.

    A large epsilon makes AdamW's steps proportional to the gradients, so that a token that training meets once moves
    little. Adapters leave the tokens' vectors alone, and are better off with the usual one.
    """
    if case.rank:
        rates: list[str] = ["--learning-rate", "0.01", "--lora-rank", str(case.rank)]
    else:
        free = {"optimizer.epsilon": 0.01, "optimizer.weight_decay": 0.0}
        rates = ["--learning-rate", "0.03", *settings(free)]
    return [
        "finetune", "classify", "base", "--data", file, "--run", "spam", "--seed", str(seed),
        "--duplicates", "drop" if case.drops_copies else "keep",
        *(["--balance", "--epochs", "8"] if case.balance else ["--epochs", "5"]),
        "--clean", CLEANING, "--token-dropout", "0.3", "--pooling", "mean",
        "--label-smoothing", "0.1", "--early-stopping", "0", *settings({"xla": "off"}), *rates,
    ]  # fmt: skip


def new_messages(folder: Path) -> float:
    """How many of the messages in `NEW` the run `spam` in `folder` labels right."""
    with NEW.open(encoding="utf-8", newline="") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    texts = folder / "new.txt"
    texts.write_text("".join(f"{text}\n" for _, text in rows), encoding="utf-8")
    results = kgpt(folder, "classify", "spam", "--file", str(texts)).result["results"]
    right = 0
    for (label, text), found in zip(rows, results, strict=True):
        right += found["label"] == label
        if found["label"] != label:
            print(f"  {found['probabilities']['spam']:.2f} spam: {text}", file=sys.stderr)
    return float(right)


def settings(values: Mapping[str, object]) -> list[str]:
    """Keys of a training configuration as options."""
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]


def trained_share(log: Path) -> float:
    """The share of the weights that trained, from what the run said: `N of M parameters train`."""
    found = re.search(r"([\d,]+) of ([\d,]+) parameters train", log.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{log} does not say what trained")
    trained, whole = (int(text.replace(",", "")) for text in found.groups())
    return trained / whole


def of_scikit_learn(parts: Parts) -> dict[str, float]:
    """Accuracy and F1 of spam of TF-IDF with logistic regression on the test part.

    The strength of the regularisation is the one that is best on the validation part.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    from kgpt.text.cleaning import Cleaner

    cleaner = Cleaner.of_changes(CLEANING.split(","))
    text = {name: [cleaner.clean(example.text).text for example in part] for name, part in parts}
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
