"""`kgpt train --sweep FILE`: many short trainings that look for the best values of some keys.

In: a configuration, and a TOML file that says which keys may take which values. Out: ordinary runs, NAME-001 and so on,
and a table of them. Optuna chooses the values: its tree-structured Parzen estimator (Bergstra et al., 2011) learns from
the runs so far, needs no server, and leaves the training to us, which KerasTuner does not. The runs themselves are the
memory: the same command again goes on with a sweep that was stopped.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.config import TrainConfig
from kgpt.config_values import dotted, from_dict, merged
from kgpt.errors import KgptError, KgptFailure
from kgpt.files import is_number
from kgpt.language import _
from kgpt.packages import optional_package
from kgpt.runs import RunFolder, saved_models_folder
from kgpt.suggestions import did_you_mean

if TYPE_CHECKING:
    import optuna

EXAMPLE = """For example:
  trials = 20
  [search]
  "optimizer.learning_rate" = {low = 1e-4, high = 1e-2, log = true}
  "model.num_layers" = {low = 2, high = 6}
  "optimizer.name" = ["adamw", "muon"]"""
NOT_SEARCHED = (
    "run",
    "data",
    "seed",
    "step_changes",
    "distribute",
    "tensorboard",
    "sample_prompts",
)


@dataclass(frozen=True)
class Sweep:
    """What a sweep file asks for."""

    trials: int
    seed: int
    search: Mapping[str, Any]
    """By dotted key: a list of values, or a table of low, high, log and step."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep and what came out; `loss` is None where it failed."""

    run: str
    values: Mapping[str, Any]
    loss: float | None
    note: str = ""


def read_sweep(path: Path) -> Sweep:
    """The sweep in a TOML file, every key checked.

    Raises:
        KgptError: there is no such file, or something in it is not as it must be.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(f"{path}: {error}") from None
    unknown = [key for key in values if key not in ("trials", "seed", "search")]
    if unknown:
        raise _bad(
            _(
                "{path} has a key {unknown}; known are trials, seed and search.",
                path=path,
                unknown=unknown[0],
            )
        )
    trials, seed, search = values.get("trials", 20), values.get("seed", 1), values.get("search")
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise _bad(_("trials must be a whole number above 0. Received: {trials!r}", trials=trials))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise _bad(_("seed must be a whole number, 0 or more. Received: {seed!r}", seed=seed))
    if not isinstance(search, dict) or not search:
        raise _bad(_("{path} has no table [search].", path=path))
    search = _flat(search)
    known = dotted(TrainConfig())
    for key, space in search.items():
        if key not in known or key in NOT_SEARCHED:
            searched = [name for name in known if name not in NOT_SEARCHED]
            raise _bad(_("{key} cannot be searched.", key=key) + did_you_mean(key, searched))
        _check_space(key, space)
    return Sweep(trials, seed, search)


def run_sweep(
    sweep: Sweep, config: TrainConfig, saved_models: str | None, display: Any
) -> tuple[list[Trial], bool]:
    """Train every trial that has not finished; the trials in their order, and whether all of them are done.

    Raises:
        KgptError: Optuna is not installed.
        KgptFailure: the disk is full.
    """
    optuna = optional_package("optuna", "sweep", "--sweep")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize")
    trials: list[Trial] = []
    for number in range(1, sweep.trials + 1):
        # the seed of each trial is its own, so that a sweep that was stopped goes on as if it had not been
        study.sampler = optuna.samplers.TPESampler(
            seed=sweep.seed * 1000 + number, n_startup_trials=5
        )
        trial = study.ask()
        values = {key: _suggested(trial, key, space) for key, space in sweep.search.items()}
        name = f"{config.run}-{number:03d}"
        display.message(
            _(
                "trial {number} of {trials}: {name}  {values}",
                number=number,
                trials=sweep.trials,
                name=name,
                values=_described(values),
            )
        )
        done = _train(name, config, values, saved_models, display)
        if done is None:
            return trials, False
        trials.append(done)
        if done.loss is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, done.loss)
    return trials, True


def best_first(trials: list[Trial]) -> list[Trial]:
    """The trials by their loss, failed ones last."""
    return sorted(trials, key=lambda trial: (trial.loss is None, trial.loss or 0.0))


def _train(
    name: str,
    config: TrainConfig,
    values: Mapping[str, Any],
    saved_models: str | None,
    display: Any,
) -> Trial | None:
    """Train one trial, or take up where it stopped; None if it was asked to stop."""
    import keras

    from kgpt.training.trainer import train

    folder = RunFolder(saved_models_folder(saved_models) / name)
    try:
        asked = dataclasses.replace(from_dict(_nested(values), config), run=name)
        if folder.exists():
            _check_same(folder, values)
        if not (folder.exists() and folder.status()["state"] == "finished"):
            keras.backend.clear_session()
            stored = from_dict(folder.configuration()) if folder.exists() else asked
            result = train(
                stored, saved_models=saved_models, resume=folder.exists(), reporter=display
            )
            if not result.finished:
                return None
    except KgptError as error:
        if isinstance(error, KgptFailure) and error.title != _("Training diverged"):
            raise
        if error.title == _("Sweep changed"):
            raise
        display.message(f"{name}: {error.message}")
        return Trial(name, values, None, error.title)
    losses = [
        row["validation_loss"] for row in folder.metrics() if is_number(row.get("validation_loss"))
    ]
    return Trial(name, values, min(losses, default=None))


def _check_same(folder: RunFolder, values: Mapping[str, Any]) -> None:
    before = dotted(from_dict(folder.configuration()))
    for key, value in values.items():
        if before[key] != value:
            raise KgptError(
                _("Sweep changed"),
                _(
                    "{path} has {key}={before!r}; this sweep would try {value!r} there.",
                    path=folder.path,
                    key=key,
                    before=before[key],
                    value=value,
                ),
                _(
                    "Go on with the file and the options of the first time, or choose another --run NAME."
                ),
            )


def _suggested(trial: optuna.Trial, key: str, space: Any) -> Any:
    if isinstance(space, list):
        return trial.suggest_categorical(key, space)
    low, high = space["low"], space["high"]
    if isinstance(low, int) and isinstance(high, int):
        step = int(space.get("step", 1))
        return trial.suggest_int(key, low, high, log=space.get("log", False), step=step)
    return trial.suggest_float(key, low, high, log=space.get("log", False), step=space.get("step"))


def _check_space(key: str, space: Any) -> None:
    if (
        isinstance(space, list)
        and space
        and all(isinstance(v, (str, bool, int, float)) for v in space)
    ):
        return
    if not isinstance(space, dict) or not {"low", "high"} <= set(space) <= {
        "low",
        "high",
        "log",
        "step",
    }:
        raise _bad(
            _("{key} must be a list of values, or a table of low, high, log and step.", key=key)
        )
    low, high = space["low"], space["high"]
    if not (is_number(low) and is_number(high) and low < high):
        raise _bad(
            _(
                "{key} needs numbers with low below high. Received: {low!r}, {high!r}",
                key=key,
                low=low,
                high=high,
            )
        )
    if space.get("log") and (low <= 0 or "step" in space):
        raise _bad(_("{key}: a logarithmic range begins above 0 and has no step.", key=key))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`[search.optimizer]` with `name` is the same as `"optimizer.name"`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        is_table = isinstance(value, dict) and not {"low", "high", "log", "step"} & set(value)
        flat |= _flat(value, f"{prefix}{key}.") if is_table else {prefix + key: value}
    return flat


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = merged(nested, value)
    return nested


def _described(values: Mapping[str, Any]) -> str:
    return "  ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
    )


def _bad(message: str) -> KgptError:
    return KgptError(_("Bad sweep file"), message, EXAMPLE)
