"""What fine-tuning adds to a training configuration: frozen dataclasses, every value checked. Standard library only.

`run.json` keeps them under `finetuning`, beside the `configuration` of model and training.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from kgpt.config import check_types, require
from kgpt.errors import KgptError
from kgpt.language import _

Pooling = Literal["last", "mean", "sum", "max"]
Duplicates = Literal["drop", "keep"]
Learns = Literal["answers", "all"]
TRAIN_LAYERS = re.compile(r"all|head|last-[1-9][0-9]{0,3}")
TARGETS = ("query", "key", "value", "output", "gate", "up", "down")
"""The matrices of a block that adapters can be put beside; `output` is attention's, `gate` is SwiGLU's alone."""


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters (Hu et al., 2021, arXiv:2106.09685): the matrix W becomes W + alpha / rank * A B."""

    rank: int = 0
    """Columns of A and rows of B; 0 for no adapters."""
    alpha: float = 16.0
    """Strength of the adapters, divided by the rank."""
    dropout: float = 0.0
    """Of an adapter's input, in training."""
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        check_types(self, "lora")
        require(0 <= self.rank <= 4096, "lora.rank", _("0 (none) to 4096"), self.rank)
        require(self.alpha > 0, "lora.alpha", _("above 0"), self.alpha)
        require(
            0 <= self.dropout < 1, "lora.dropout", _("from 0 up to, not including, 1"), self.dropout
        )
        known = bool(self.targets) and set(self.targets) <= set(TARGETS)
        require(
            known,
            "lora.targets",
            _("one or more of {targets}", targets=", ".join(TARGETS)),
            self.targets,
        )

    @property
    def scale(self) -> float:
        """What the product of the two small matrices is multiplied by."""
        return self.alpha / self.rank


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """A classifier, and the labelled texts that it learns from."""

    labels: tuple[str, ...] = ()
    """In the order of the probabilities."""
    pooling: Pooling = "last"
    """What the head reads of a text's vectors: that of its `last` token, their `mean`, their `sum` over the square root
    of their number, or the `max` of each channel."""
    head_dropout: float = 0.0
    """Of the vector that the head reads, in training."""
    token_dropout: float = 0.0
    """Share of a text's tokens that are left out in training, others each time that it is seen."""
    max_length: int = 0
    """Tokens of a text that are read, its first ones; 0 for as many as the context holds."""
    clean: tuple[str, ...] = ()
    """Cleaning steps that each text goes through before it is read, in training and later."""
    train_layers: str = "all"
    """`all`, the `head` alone, or `last-N`: the last N blocks, the norm behind them and the head."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    class_weights: bool = False
    """Let each label count as much as each other in the loss, however many examples it has."""
    balance: bool = False
    """Leave out examples until all labels have as many."""
    duplicates: Duplicates = "drop"
    """`drop`: of equal texts one stays, and no text is in two parts. `keep`: all stay, wherever they fall."""
    shares: tuple[str, ...] = ("0.7", "0.1", "0.2")
    """Of training, validation and test part."""

    def __post_init__(self) -> None:
        check_types(self, "finetuning")
        require(
            bool(TRAIN_LAYERS.fullmatch(self.train_layers)),
            "train_layers",
            _("all, head or last-N, such as last-2"),
            self.train_layers,
        )
        for name in ("head_dropout", "token_dropout"):
            value = getattr(self, name)
            require(0 <= value < 1, name, _("from 0 up to, not including, 1"), value)
        require(self.max_length >= 0, "max_length", _("0 or more"), self.max_length)
        require(
            not (self.lora.rank and self.train_layers != "all"),
            "train_layers",
            _("left out with adapters, which train in every block"),
            self.train_layers,
        )
        self.split  # noqa: B018  a property that checks

    @property
    def split(self) -> tuple[float, float, float]:
        """The shares as numbers."""
        return _split(self.shares)


@dataclass(frozen=True, kw_only=True)
class InstructConfig:
    """A model that answers, and the conversations that it learns from."""

    learns: Learns = "answers"
    """What counts in the loss: the `answers`, each with its end, or `all` that is said."""
    packing: bool = True
    """Let conversations share rows; none sees another."""
    max_length: int = 0
    """Tokens of a conversation that are read, its first ones; 0 for as many as the context holds."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    shares: tuple[str, ...] = ("0.85", "0.05", "0.1")
    """Of training, validation and test part."""
    answered: int = 200
    """Conversations of the test part whose last answer is written after training, and compared."""
    forgetting: str = ""
    """Folder of prepared data on whose validation split the loss is measured before and after; none if empty."""

    def __post_init__(self) -> None:
        check_types(self, "finetuning")
        require(self.max_length >= 0, "max_length", _("0 or more"), self.max_length)
        require(self.answered >= 0, "answered", _("0 or more"), self.answered)
        self.split  # noqa: B018  a property that checks

    @property
    def split(self) -> tuple[float, float, float]:
        """The shares as numbers."""
        return _split(self.shares)


@dataclass(frozen=True, kw_only=True)
class PreferConfig:
    """A model that learns which of two answers is better (DPO)."""

    beta: float = 0.1
    """How strongly it is held to what the base says: the lower, the further it may go."""
    max_length: int = 0
    """Tokens of a conversation that are read, its first ones; 0 for as many as the context holds."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    shares: tuple[str, ...] = ("0.85", "0.05", "0.1")
    """Of training, validation and test part."""

    def __post_init__(self) -> None:
        check_types(self, "finetuning")
        require(self.beta > 0, "beta", _("above 0"), self.beta)
        require(self.max_length >= 0, "max_length", _("0 or more"), self.max_length)
        self.split  # noqa: B018  a property that checks

    @property
    def split(self) -> tuple[float, float, float]:
        """The shares as numbers."""
        return _split(self.shares)


def _split(shares: tuple[str, ...]) -> tuple[float, float, float]:
    try:
        train, validation, test = map(float, shares)
    except ValueError:
        train = validation = test = -1.0
    is_whole = abs(train + validation + test - 1) < 1e-6
    is_good = is_whole and train > 0 and validation > 0 and test >= 0
    expected = _("three shares that add up to 1 (the last may be 0), such as 0.7,0.1,0.2")
    require(is_good, "split", expected, ",".join(shares))
    return train, validation, test


Config = TypeVar("Config", ClassifyConfig, InstructConfig, PreferConfig)


def to_values(config: ClassifyConfig | InstructConfig | PreferConfig) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def classify_config(values: object) -> ClassifyConfig:
    """The configuration in `values`, as `run.json` holds it.

    Raises:
        KgptError: something in it is missing or unknown.
    """
    return _config(ClassifyConfig, values)


def instruct_config(values: object) -> InstructConfig:
    """As `classify_config`, for a model that answers."""
    return _config(InstructConfig, values)


def prefer_config(values: object) -> PreferConfig:
    """As `classify_config`, for a model that prefers one answer to another."""
    return _config(PreferConfig, values)


def _config(kind: type[Config], values: object) -> Config:
    if not isinstance(values, Mapping):
        raise _not_readable()
    try:
        return kind(**{**_tuples(values), "lora": lora_config({"finetuning": values})})
    except (TypeError, AttributeError):
        raise _not_readable() from None


def lora_config(run: Mapping[str, Any]) -> LoraConfig:
    """The adapters that `run.json` tells of, whatever the run's task; rank 0 where it has none.

    Raises:
        KgptError: what it tells cannot be understood.
    """
    finetuning = run.get("finetuning")
    values = finetuning.get("lora", {}) if isinstance(finetuning, Mapping) else {}
    try:
        return LoraConfig(**_tuples(values))
    except (TypeError, AttributeError):
        raise _not_readable() from None


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}


def _not_readable() -> KgptError:
    return KgptError(
        _("Unreadable run"),
        _(
            "run.json does not say how the run was fine-tuned: its `finetuning` is missing or of "
            "another version."
        ),
        _("Restore the file, or fine-tune again."),
    )
