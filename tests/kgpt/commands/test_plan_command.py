"""`kgpt plan`: the object, the print-out, every option, and mistakes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kgpt.commands import main


@pytest.fixture
def plan(capsys):
    """`plan(*options)` gives exit code, object and stderr."""

    def call(*options: str) -> tuple[int, dict, str]:
        code = main(["plan", *options, "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out.splitlines()[-1]) if out else {}, err

    return call


@pytest.fixture
def printed(capsys):
    """`printed(*options)` gives the text for people."""

    def call(*options: str) -> str:
        assert main(["plan", *options]) == 0
        return capsys.readouterr().out

    return call


def test_the_object_has_everything(plan):
    code, found, _ = plan("--preset", "gpt2-124m", "--memory", "500GB")
    assert code == 0 and found["fits"] is True and found["remedy"] is None
    assert found["parameters"] == 124_439_808 == sum(found["parameters_by_part"].values())
    assert found["flops_per_token"] == 854_438_400
    parts = ("program", "weights", "optimizer", "gradients", "activations", "logits", "evaluation")
    assert all(found["memory"][part] > 0 for part in parts)
    assert found["peak_memory"] == max(found["phases"].values()) <= found["available_memory"]
    assert found["time"]["steps"] == 20000 and found["time"]["tokens"] == 20000 * 8 * 1024
    assert found["disk"]["checkpoints"] == 3 * 12 * 124_439_808


def test_the_text_says_that_it_fits(printed):
    text = printed("--preset", "gpt2-124m", "--memory", "500GB")
    assert "124,439,808" in text and "Fits: " in text and "500.0 GB" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_text_says_what_would_fit(printed):
    text = printed("--preset", "gpt2-124m", "--memory", "8GB", "--batch-size", "16")
    assert "Does not fit" in text and "8.0 GB, as given by --memory" in text
    assert "--batch-size" in text.split("Does not fit")[1]
    assert max(map(len, text.splitlines())) <= 80


def test_the_remedy_of_the_object_can_be_followed(plan):
    options = ("--preset", "gpt2-124m", "--batch-size", "64", "--memory", "10GB")
    _, found, _ = plan(*options)
    assert found["fits"] is False and found["remedy"]["options"] in found["advice"]
    _, followed, _ = plan(*options, *found["remedy"]["options"].split())
    assert followed["fits"] is True and followed["peak_memory"] == found["remedy"]["peak_memory"]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        (("--batch-size", "3"), ("memory", "activations")),
        (("--context-length", "32"), ("memory", "activations")),
        (("--gradient-accumulation", "2"), ("memory", "gradients")),
        (("--optimizer", "adamw"), ("memory", "optimizer")),
        (("--precision", "bfloat16"), ("memory", "activations")),
        (("--set", "model.num_layers=5"), ("parameters",)),
        (("--set", "remat=true"), ("memory", "activations")),
        (("--checkpoint-every", "100"), ("phases", "training")),
        (("--set", "model.vocabulary_size=99"), ("memory", "logits")),
        (("--steps", "77"), ("time", "steps")),
        (("--tokens", "2M"), ("time", "tokens")),
        (("--keep", "9"), ("disk", "checkpoints")),
        (("--memory", "3GB"), ("available_memory",)),
    ],
)
def test_every_option_changes_the_plan(plan, options, place):
    def value(found):
        for key in place:
            found = found[key]
        return found

    assert value(plan(*options)[1]) != value(plan("--preset", "demo")[1])


def test_the_vocabulary_is_that_of_the_data(plan, numbers, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPT_DATA", str(tmp_path))
    assert plan("--data", str(numbers))[1]["vocabulary_size"] == 257
    assert plan("--data", str(numbers))[1]["disk"]["data"] > 0
    assert plan("--preset", "gpt2-124m", "--data", str(numbers))[1]["vocabulary_size"] == 257
    assert plan("--preset", "gpt2-124m")[1]["vocabulary_size"] == 50257
    assert plan()[1]["vocabulary_size"] == 4096
    code, _, err = plan("--data", "nowhere")
    assert code == 2 and "nowhere" in err and "model.vocabulary_size" in err
    given = ("--data", "nowhere", "--set", "model.vocabulary_size=300")
    assert plan(*given)[1]["vocabulary_size"] == 300


def test_epochs_need_the_data(plan, numbers, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPT_DATA", str(tmp_path))
    manifest = json.loads((numbers / "manifest.json").read_text())
    _, found, _ = plan("--data", str(numbers), "--epochs", "2")
    per_step = 16 * 128
    assert found["time"]["steps"] == -(-2 * manifest["train_tokens"] // per_step)
    code, _, err = plan("--epochs", "2")
    assert code == 2 and "not prepared" in err


# === On paper ===

PAPER = ("--preset", "gpt2-1558m", "--tokens", "300e9", "--devices", "64", "--device", "h100")


def test_a_plan_on_paper(plan):
    code, found, _ = plan(*PAPER)
    layout = found["layout"]
    degrees = [layout[name] for name in ("replicas", "shards", "tensor", "pipeline")]
    assert code == 0 and degrees[0] * degrees[1] * degrees[2] * degrees[3] == 64
    assert found["device_memory"] == pytest.approx(sum(found["memory"].values()))
    assert found["device_memory"] <= found["usable_device_memory"] < 80e9
    assert found["tokens"] == 300 * 10**9 and found["tokens_per_step"] == 524288
    assert found["steps"] == -(-300 * 10**9 // 524288)
    assert found["hours"] == pytest.approx(found["steps"] * found["step_seconds"] / 3600 / 0.95)
    assert found["cost"] == pytest.approx(found["hours"] * 64 * 3.0)
    # 3.08e21 operations at 64 x 989e12, between a third and all of what the assumed efficiency gives
    ideal = found["flops_per_token"] * 300e9 / (64 * 989e12 * 0.5) / 3600
    assert ideal < found["hours"] < 3 * ideal


@pytest.mark.parametrize(("device", "precision"), [("h100", "bfloat16"), ("t4", "float16")])
def test_a_device_trains_in_the_precision_that_it_is_fast_in(plan, device, precision):
    assert plan("--preset", "demo", "--device", device)[1]["precision"] == precision


def test_every_assumption_is_printed(printed, plan):
    text = printed(*PAPER)
    _, found, _ = plan(*PAPER)
    for name, value in {**found["assumptions"], **found["device"]}.items():
        if name != "name" and value:
            assert name in text and f"{value:,.10g}" in text
    assert "64 x NVIDIA H100" in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (("--devices", "32"), "hours"),
        (("--device", "a100"), "hours"),
        (("--tokens", "100B"), "hours"),
        (("--batch-tokens", "1M"), "tokens_per_step"),
        (("--precision", "float32"), "hours"),
        (("--context-length", "2048"), "flops_per_token"),
    ],
)
def test_every_option_changes_the_plan_on_paper(plan, options, key):
    assert plan(*PAPER, *options)[1][key] != plan(*PAPER)[1][key]


def test_assumptions_of_ones_own(plan, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("[assumptions]\nefficiency = 0.25\n[devices.h100]\nprice_per_hour = 1.0\n")
    _, found, _ = plan(*PAPER, "--assumptions", str(own))
    assert found["hours"] > 1.5 * plan(*PAPER)[1]["hours"]
    assert found["cost"] == pytest.approx(found["device_hours"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--device", "h1000"), "Did you mean h100?"),
        (("--device", "h100", "--devices", "0"), "--devices must be"),
        (("--device", "h100", "--memory", "8GB"), "--memory"),
        (("--device", "h100", "--measure"), "--measure"),
        (("--devices", "8"), "goes with --device"),
        (("--batch-tokens", "1M"), "goes with --device"),
        (("--tokens", "many"), "300e9"),
        (("--memory", "lots"), "8GB"),
        (("--preset", "gpt3"), "Did you mean"),
        (("--set", "model.widht=8"), "model.width"),
        (("--device", "t4", "--precision", "bfloat16"), "no bfloat16"),
        (("--device", "t4", "--preset", "gpt2-1558m", "--precision", "float32"), "--devices"),
    ],
)
def test_mistakes_are_told_in_three_lines(plan, options, words):
    code, found, err = plan(*options)
    assert code == 2 and found == {} and words in err
    assert len(err.splitlines()) <= 3 and "Traceback" not in err


# === What it costs ===


def test_it_loads_neither_keras_nor_tensorflow():
    program = (
        "import sys\nfrom kgpt.commands import main\n"
        "main(['plan', '--preset', 'gpt2-124m'])\nmain(['plan', '--device', 'h100', '--devices', '64'])\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'tokenizers'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
