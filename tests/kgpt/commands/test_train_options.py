"""Which configuration the options of `kgpt train` ask for. Nothing here loads Keras."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kgpt.commands import main
from kgpt.commands.train import OPTIONS, add_arguments, configuration
from kgpt.config import UNLIMITED_STEPS, TrainConfig
from kgpt.config_values import dotted, from_dict, to_dict, to_toml
from kgpt.errors import KgptError
from kgpt.files import append_json_line, write_json
from kgpt.presets import preset
from kgpt.runs import RunFolder


@pytest.fixture
def asked(tmp_path):
    """`asked("--steps", "5")` is the configuration of that command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def call(*arguments: str) -> TrainConfig:
        args = parser.parse_args(arguments)
        args.saved_models = str(tmp_path)
        return configuration(args)

    return call


def changes(config: TrainConfig, base: TrainConfig) -> dict[str, object]:
    before = dotted(base)
    return {key: value for key, value in dotted(config).items() if value != before[key]}


def test_without_options_it_is_the_demo(asked):
    assert asked() == preset("demo")


BUDGET = {"steps": UNLIMITED_STEPS, "minutes": 0.0}


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--data", "machado", {"data": "machado"}),
        ("--run", "mine", {"run": "mine"}),
        ("--steps", "7", {"steps": 7, "minutes": 0.0}),
        ("--epochs", "1.5", {"epochs": 1.5, **BUDGET}),
        ("--minutes", "15", {"minutes": 15.0, "steps": UNLIMITED_STEPS}),
        ("--batch-size", "5", {"batch_size": 5}),
        ("--gradient-accumulation", "4", {"gradient_accumulation": 4}),
        ("--context-length", "32", {"model.context_length": 32}),
        ("--learning-rate", "1e-4", {"optimizer.learning_rate": 1e-4}),
        ("--precision", "float16", {"precision": "float16"}),
        ("--optimizer", "adamw", {"optimizer.name": "adamw"}),
        ("--evaluate-every", "11", {"evaluate_every": 11}),
        ("--checkpoint-every", "12", {"checkpoint_every": 12}),
        ("--keep", "9", {"keep": 9}),
        ("--early-stopping", "4", {"early_stopping": 4}),
        ("--distribute", "data", {"distribute": "data"}),
        ("--seed", "77", {"seed": 77}),
        ("--tensorboard", None, {"tensorboard": True}),
        ("--set", "model.num_layers=6", {"model.num_layers": 6}),
        ("--set", "steps=7", {"steps": 7, "minutes": 0.0}),
    ],
)
def test_every_option_changes_its_key_and_no_other(asked, option, value, expected):
    given = [option] if value is None else [option, value]
    assert changes(asked(*given), preset("demo")) == expected


def test_every_option_is_tested():
    (parameters,) = (
        mark.args[1]
        for mark in test_every_option_changes_its_key_and_no_other.pytestmark
        if mark.name == "parametrize"
    )
    assert {option[2:].replace("-", "_") for option, *_ in parameters} == {*OPTIONS, "set"}


def test_a_preset_gives_the_run_its_name(asked):
    assert asked("--preset", "char-cpu") == replace(preset("char-cpu"), run="char-cpu")
    assert asked("--preset", "char-cpu", "--run", "mine").run == "mine"


def test_limits_given_together_all_hold(asked):
    both = asked("--minutes", "15", "--steps", "500")
    assert (both.minutes, both.steps, both.epochs) == (15.0, 500, 0.0)
    passes = asked("--epochs", "2", "--minutes", "5")
    assert (passes.epochs, passes.minutes) == (2.0, 5.0)


def test_no_minutes_leave_the_steps_of_the_preset(asked):
    assert changes(asked("--minutes", "0"), preset("demo")) == {"minutes": 0.0}


def test_values_that_go_together_are_checked_together(asked):
    for options in (
        ["model.num_heads=3", "model.width=96"],
        ["model.width=96", "model.num_heads=3"],
    ):
        model = asked("--set", options[0], "--set", options[1]).model
        assert (model.num_heads, model.width) == (3, 96)
    with pytest.raises(KgptError, match="model.width must be a multiple of model.num_heads=3"):
        asked("--set", "model.num_heads=3")


def test_the_order_is_preset_file_options_set(asked, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("batch_size = 2\nkeep = 3\nseed = 4\nrun = 'filed'\n[model]\ndropout = 0.5\n")
    options = ["--config", str(file), "--keep", "5", "--seed", "6", "--set", "seed=7"]
    config = asked("--preset", "char-cpu", *options)
    assert (config.batch_size, config.keep, config.seed) == (2, 5, 7)
    assert (config.model.dropout, config.model.num_layers, config.run) == (0.5, 4, "filed")
    assert asked("--config", str(file), "--run", "mine").run == "mine"


def test_steps_in_a_file_replace_the_minutes_of_the_preset(asked, tmp_path):
    (tmp_path / "config.toml").write_text("steps = 5000")
    config = asked("--config", str(tmp_path / "config.toml"))
    assert (config.steps, config.minutes) == (5000, 0.0)
    assert (
        asked("--config", str(tmp_path / "config.toml"), "--minutes", "1").steps == UNLIMITED_STEPS
    )


@pytest.mark.parametrize("name", ["config.toml", "run.json"])
def test_a_file_reproduces_its_configuration(asked, tmp_path, name):
    config = replace(
        preset("gpt2-124m"), run="big", data="books", sample_prompts=("a", "b"), keep=7
    )
    is_toml = name.endswith("toml")
    content = to_toml(config) if is_toml else json.dumps({"configuration": to_dict(config)})
    (tmp_path / name).write_text(content)
    assert asked("--config", str(tmp_path / name)) == config


def test_a_limit_of_ones_own_forgets_how_the_steps_of_a_file_changed(asked, tmp_path):
    config = replace(preset("char-cpu"), steps=500, step_changes=("0:1000", "20:500"))
    (tmp_path / "run.json").write_text(json.dumps({"configuration": to_dict(config)}))
    file = ["--config", str(tmp_path / "run.json")]
    assert asked(*file).step_changes == config.step_changes
    assert (asked(*file, "--steps", "70").steps, asked(*file, "--steps", "70").step_changes) == (
        70,
        (),
    )


# === Resuming ===


@pytest.fixture
def begun(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "begun")
    run.path.mkdir()
    config = replace(preset("char-cpu"), run="begun", data="books", epochs=2.0)
    write_json(run.run_file, {"format_version": 1, "configuration": to_dict(config)})
    run.write_status("stopped", step=500, steps=2000)
    return run


def test_a_resumed_run_keeps_its_configuration(asked, begun):
    assert asked("--run", "begun", "--resume") == from_dict(begun.configuration())


def test_a_run_may_be_resumed_by_its_path(asked, begun):
    assert asked("--run", str(begun.path), "--resume").run == str(begun.path)


def test_what_may_change_on_resume(asked, begun):
    before = from_dict(begun.configuration())
    options = ["--learning-rate", "0.5", "--evaluate-every", "7", "--set", "keep=9"]
    changed = changes(asked("--run", "begun", "--resume", *options), before)
    assert changed == {"optimizer.learning_rate": 0.5, "evaluate_every": 7, "keep": 9}
    moved = changes(asked("--run", "begun", "--resume", "--data", "elsewhere"), before)
    assert moved == {"data": "elsewhere"}
    more = changes(asked("--run", "begun", "--resume", "--steps", "4000"), before)
    assert more == {"steps": 4000, "epochs": 0.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "9"], "seed was 1 when begun was started. Received: 9"),
        (["--batch-size", "9"], "batch_size was 12"),
        (["--gradient-accumulation", "9"], "gradient_accumulation was 1"),
        (["--set", "optimizer.ema_decay=0.9"], "optimizer.ema_decay was 0.0"),
        (["--context-length", "9"], "model.context_length was 64"),
        (["--optimizer", "muon"], "optimizer.name was 'adamw'"),
        (["--set", "model.num_layers=5"], "model.num_layers was 4"),
        (["--preset", "demo"], "cannot be given with --resume"),
        (["--config", "file.toml"], "cannot be given with --resume"),
    ],
)
def test_what_may_not_change_on_resume(asked, begun, options, words):
    with pytest.raises(KgptError) as caught:
        asked("--run", "begun", "--resume", *options)
    assert words in caught.value.message and caught.value.exit_code == 2


def test_a_spent_budget_is_told(asked, begun):
    values = begun.read()
    write_json(begun.run_file, {**values, "steps_fixed_at": 20})
    with pytest.raises(KgptError, match=r"2000 steps[\s\S]*--steps N"):
        asked("--run", "begun", "--resume", "--minutes", "5")
    assert asked("--run", "begun", "--resume", "--steps", "3000").steps == 3000


# === The command, before Keras ===


@pytest.fixture
def kgpt_train(tmp_path, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["train", *arguments, "--saved-models", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "begun"], "--run begun --resume"),
        (["--run", "a/b"], "Bad run name"),
        (["--run", "begum", "--resume"], "There is begun."),
        (["--resume"], "--resume needs the run's name"),
        (["--preset", "char-gpuu"], "Did you mean char-gpu?"),
        (["--config", "nowhere.toml"], "There is no file nowhere.toml"),
        (["--set", "model.layers=3"], "Did you mean model.num_layers?"),
        (["--set", "steps"], "Expected KEY=VALUE"),
        (["--steps", "0"], "steps must be at least 1. Received: steps=0"),
        (["--learning-rate", "nan"], "optimizer.learning_rate must be a finite number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_end_in_exit_code_2_and_three_lines(kgpt_train, begun, arguments, words):
    before = sorted(begun.path.parent.rglob("*"))
    code, out, err = kgpt_train(*arguments)
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 3 and "Traceback" not in err
    assert sorted(begun.path.parent.rglob("*")) == before


def test_a_finished_run_says_so(kgpt_train, begun):
    begun.write_status("finished", step=2000, steps=2000)
    append_json_line(
        begun.metrics_file, {"step": 2000, "train_loss": 1.0, "tokens_per_second": 50.0}
    )
    last = {"step": 2000, "seconds": 9.5, "validation_loss": 1.25, "bits_per_byte": 0.75}
    append_json_line(begun.metrics_file, last)
    code, out, _ = kgpt_train("--run", "begun", "--resume")
    assert code == 0 and "has finished all its 2000 steps" in out and "--steps N" in out
    _, out, _ = kgpt_train("--run", "begun", "--resume", "--json")
    assert json.loads(out) == {
        "run": str(Path(begun.path)), "steps": 2000, "validation_loss": 1.25, "bits_per_byte": 0.75,
        "seconds": 9.5, "tokens_per_second": 50.0, "finished": True,
    }  # fmt: skip


def test_data_that_is_not_there_is_told_before_keras_loads(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    command = ["train", "--run", "x", "--saved-models", str(tmp_path / "runs"), "--data", "nosuch"]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert "No prepared data" in err and "Loading Keras" not in err
