from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from kgpt.errors import KgptError
from kgpt.presets import preset


def test_utilization_is_the_formula():
    from kgpt.training.speed import utilization

    config = preset("gpt2-124m")
    # 12 layers of 12 * 768 * 768 and a head of 50257 * 768; 12 * 12 * 768 * 1024 for attention
    flops = 6 * (12 * 12 * 768**2 + 50257 * 768) + 12 * 12 * 768 * 1024
    assert utilization(config, 1000.0, flops * 2000.0) == pytest.approx(0.5)


def test_the_highest_rate_of_a_machine_is_kept(monkeypatch, tmp_path):
    from kgpt.training import speed

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    speed.matrix_product_rate.cache_clear()
    rate = speed.matrix_product_rate("float32")
    assert rate > 1e8
    path = tmp_path / "kgpt" / "matrix-products.json"
    values = json.loads(path.read_text())
    assert list(values.values()) == [rate]
    path.write_text(json.dumps({key: rate * 1e6 for key in values}))
    speed.matrix_product_rate.cache_clear()
    assert speed.matrix_product_rate("float32") == rate * 1e6
    speed.matrix_product_rate.cache_clear()


def test_rows_tell_the_utilization(train, config):
    run = train(config, steps=4).run
    row = [row for row in run.metrics() if "train_loss" in row][-1]
    assert 0 < row["mfu"] < 1
    assert (run.path / "report.html").is_file()


def test_tensorboard_has_the_rows(train, config):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from test_resuming import StopAfter

    config = dataclasses.replace(config, tensorboard=True)
    train(config, reporter=StopAfter(6))
    run = train(config, resume=True).run
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    for key in ("train_loss", "validation_loss", "learning_rate", "tokens_per_second"):
        written = [(e.step, pytest.approx(e.value, rel=1e-6)) for e in events.Scalars(key)]
        assert written == [(row["step"], row[key]) for row in run.metrics() if row.get(key)]


def test_without_tensorboard_it_says_so_at_once(train, config, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(KgptError, match=r"pip install 'kgpt\[tensorboard\]'"):
        train(config, tensorboard=True)
    assert not (tmp_path / "runs").exists()
