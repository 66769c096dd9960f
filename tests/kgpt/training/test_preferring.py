"""Models that learn from preferences: the loss beside NumPy, what a run leaves, that it goes on where it stopped."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from finetuned import CONFIG, write_base
from numpy_gpt import forward
from stop_at import StopAt

from kgpt.errors import KgptError
from kgpt.finetune_config import LoraConfig, PreferConfig
from kgpt.model.tensors import checkpoint_tensors, model_config
from kgpt.text.conversations import Conversation, Turn
from kgpt.text.preferences import Preference, preference_from_row
from kgpt.text.templates import CHAT, conversation_ids
from kgpt.text.tokenizer import Tokenizer

SHARES = ("0.6", "0.2", "0.2")
TIMES = ("seconds", "tokens_per_second")
LORA = PreferConfig(shares=SHARES, lora=LoraConfig(rank=2, alpha=4.0))


def pair(number: int) -> Preference:
    """One whose better answer is always the same letter, in questions of different lengths."""
    asked = Turn("user", f"{'really ' * (number % 3)}{number}?")
    chosen, rejected = (Conversation((asked, Turn("assistant", text))) for text in ("yes", "no"))
    return Preference(chosen, rejected)


PAIRS = [pair(number) for number in range(30)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("runs") / "base")


def planned_pairs(base, name, settings=None, pairs=PAIRS, **changes):
    from kgpt.training.preferring import plan_prefer

    settings = settings or PreferConfig(shares=SHARES)
    values = {
        "evaluate_every": 4,
        "checkpoint_every": 4,
        "batch_size": 4,
        "epochs": 0.0,
        "steps": 8,
    }
    config = dataclasses.replace(
        CONFIG, run=name, data="pairs.jsonl", model=model_config(base), **{**values, **changes}
    )
    own = base, base.checkpoint(), list(pairs), "pairs.jsonl", None, config, settings
    return plan_prefer(*own, base.path.parent, every_epoch=False)


def tuned_pairs(base, name, settings=None, reporter=None, **changes):
    from kgpt.training.preferring import finetune_prefer

    return finetune_prefer(planned_pairs(base, name, settings, **changes), reporter)


@pytest.fixture(scope="module")
def whole(base):
    return tuned_pairs(base, "whole")


@pytest.fixture(scope="module")
def adapted(base):
    return tuned_pairs(base, "adapted", LORA)


def log_likelihood(weights, config, tokenizer, conversation):
    """Of the last answer and its end, in NumPy."""
    ids, is_answer = conversation_ids(CHAT, conversation.turns, tokenizer)
    logits = forward(weights, config, np.array([ids[:-1]]))[0]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return logs[np.arange(len(ids) - 1), ids[1:]][np.array(is_answer[1:])].sum()


def margins(now, before, config, tokenizer, pairs):
    """How much more the chosen answers gained than the rejected ones."""
    found = []
    for one in pairs:
        gains = [
            log_likelihood(now, config, tokenizer, answer)
            - log_likelihood(before, config, tokenizer, answer)
            for answer in (one.chosen, one.rejected)
        ]
        found.append(gains[0] - gains[1])
    return np.array(found)


@pytest.mark.parametrize(("beta", "smoothing"), [(0.1, 0.0), (0.7, 0.2)])
def test_the_loss_is_that_of_a_plain_computation(base, beta, smoothing):
    """With other weights than the base's, so that the margins are not zero."""
    from kgpt.training.distribution import Devices

    settings = PreferConfig(beta=beta, shares=SHARES)
    plan = planned_pairs(base, "x", settings, label_smoothing=smoothing, batch_size=18)
    task = plan.task
    model = task.model(plan.config, Devices())
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(np.array(weight) + random.normal(0, 0.02, weight.shape))
    now = {weight.path: np.array(weight) for weight in model.weights}
    inputs, targets = next(task.batches(plan.config).from_step(0))
    loss = float(model.compute_loss(inputs, targets, model(inputs)))
    margin = beta * margins(now, task.base, plan.config.model, task.tokenizer, task.parts["train"])
    each = (1 - smoothing) * np.logaddexp(0, -margin) + smoothing * np.logaddexp(0, margin)
    assert np.abs(margin).max() > 0.01
    assert loss == pytest.approx(each.mean(), abs=1e-5)


def test_the_first_step_s_loss_is_that_of_a_coin(base):
    from kgpt.training.distribution import Devices

    plan = planned_pairs(base, "x")
    model = plan.task.model(plan.config, Devices())
    for step in range(6):  # the last batch of an epoch is not full
        inputs, targets = plan.task.batches(plan.config).at(step)
        assert float(model.compute_loss(inputs, targets, model(inputs))) == pytest.approx(
            np.log(2), abs=1e-4
        )


def test_a_run_learns_what_is_better_and_leaves_its_figures(whole, adapted, base):
    for outcome in (whole, adapted):
        run = outcome.training.run
        values = run.read()
        assert (values["task"], values["template"]["name"]) == ("preference", "chat")
        assert outcome.results["test"]["accuracy"] == 1.0 and outcome.results["test"]["pairs"] == 6
        assert json.loads(run.results_file.read_text()) == outcome.results and run.answers
        own = checkpoint_tensors(run, run.checkpoint()), model_config(run)
        tokenizer = Tokenizer.load(run.tokenizer_folder)
        gained = []
        for line in (run.examples_folder / "test.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            one = preference_from_row(row)
            held = [log_likelihood(*own, tokenizer, end) for end in (one.chosen, one.rejected)]
            gained.append(held[0] - held[1] - (row["reference"][0] - row["reference"][1]))
        assert outcome.results["test"]["margin"] == pytest.approx(np.mean(gained), abs=1e-3)
        assert min(gained) > 0


def timeless(run):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in run.metrics()]


@pytest.mark.parametrize("kind", ["whole", "adapted"])
def test_a_stopped_run_goes_on_to_the_very_same_end(base, request, kind):
    from kgpt.training.preferring import resume_prefer

    first = request.getfixturevalue(kind)
    settings = LORA if kind == "adapted" else None
    part = tuned_pairs(base, f"part-{kind}", settings, reporter=StopAt(3))
    assert part.results is None and part.training.steps < 8
    resumed = resume_prefer(part.training.run, {})
    assert timeless(part.training.run) == timeless(first.training.run)
    assert resumed.results == first.results


def test_the_new_run_goes_on_from_one_that_answers(whole, base):
    plan = planned_pairs(whole.training.run, "further", steps=1)
    assert plan.added_tokens == () and plan.task.template == CHAT
    assert plan.checkpoint.step == whole.training.run.checkpoint("best").step


def test_pairs_that_cannot_be_told_apart_are_left_out_or_refused(base):
    long = "x" * 60
    answers = [Conversation((Turn("user", "a"), Turn("assistant", long + end))) for end in "bc"]
    twin = Preference(*answers)
    plan = planned_pairs(base, "y", pairs=[*PAIRS, twin])
    assert (plan.dropped, plan.cut) == (1, 0)
    with pytest.raises(KgptError, match="Too few preferences"):
        planned_pairs(base, "y", pairs=[twin] * 4)


def test_another_kind_of_run_is_not_resumed_as_this_one(whole):
    from kgpt.training.instructing import resume_instruct

    with pytest.raises(KgptError, match="its task is preference"):
        resume_instruct(whole.training.run, {})
