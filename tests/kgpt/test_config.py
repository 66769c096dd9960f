from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
from kgpt.config_values import (
    dotted,
    from_dict,
    merged,
    model_from_dict,
    parse_override,
    read_config_file,
    to_dict,
    to_toml,
)
from kgpt.errors import KgptError
from kgpt.presets import PRESETS, preset

positive = st.floats(min_value=1e-300, max_value=1e300)
fraction = st.floats(min_value=0, max_value=1)
count = st.integers(min_value=1, max_value=10**12)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
optimizers = st.builds(
    OptimizerConfig,
    name=st.sampled_from(["adamw", "muon"]),
    learning_rate=positive,
    weight_decay=st.one_of(positive, st.integers(0, 10)),
    schedule=st.sampled_from(["cosine", "linear"]),
    final_fraction=fraction,
    decay_fraction=fraction,
)
models = st.builds(
    lambda heads, width, **rest: ModelConfig(num_heads=heads, width=heads * width, **rest),
    heads=st.integers(1, 16),
    width=st.integers(1, 64).map(lambda number: 2 * number),
    vocabulary_size=count,
    positions=st.sampled_from(["learned", "rotary"]),
    norm=st.sampled_from(["layer", "rms"]),
    activation=st.sampled_from(["gelu", "swiglu"]),
    bias=st.booleans(),
    tied_head=st.booleans(),
    dropout=st.floats(0, 0.99),
    norm_epsilon=positive,
)
configurations = st.builds(
    TrainConfig,
    data=text,
    run=st.text(st.characters(exclude_categories=["Cs"])),
    model=models,
    optimizer=optimizers,
    steps=count,
    epochs=st.floats(0, 1e6),
    precision=st.sampled_from(["float32", "bfloat16"]),
    sample_prompts=st.lists(text).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(configurations)
def test_a_configuration_survives_json_and_toml(tmp_path_factory, config):
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    file = tmp_path_factory.getbasetemp() / "config.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert from_dict(read_config_file(file)) == config


@settings(max_examples=10, deadline=None)
@given(configurations)
def test_dotted_keys_are_those_that_set_takes(config):
    rebuilt = TrainConfig()
    for key, value in dotted(config).items():
        if key.startswith("model."):
            continue  # one by one, widths and heads pass through values that do not go together
        toml = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        rebuilt = from_dict(parse_override(f"{key}={toml}"), rebuilt)
    assert replace(rebuilt, model=config.model) == config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_toml(name, tmp_path):
    (tmp_path / "preset.toml").write_text(to_toml(preset(name)), encoding="utf-8")
    assert from_dict(read_config_file(tmp_path / "preset.toml")) == preset(name)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("char-cpu", (64, 4, 4, 128)),
        ("char-gpu", (256, 6, 6, 384)),
        ("gpt2-124m", (1024, 12, 12, 768)),
        ("gpt2-355m", (1024, 24, 16, 1024)),
        ("gpt2-774m", (1024, 36, 20, 1280)),
        ("gpt2-1558m", (1024, 48, 25, 1600)),
    ],
)
def test_presets_are_the_published_shapes(name, shape):
    model = preset(name).model
    assert (model.context_length, model.num_layers, model.num_heads, model.width) == shape
    assert (model.positions, model.norm, model.activation) == ("learned", "layer", "gelu")
    assert model.bias and model.tied_head and model.vocabulary_size == 50257


@pytest.mark.parametrize("name", ["demo", *(name for name in PRESETS if "modern" in name)])
def test_modern_presets_have_the_parts_of_qwen3(name):
    model = preset(name).model
    assert (model.positions, model.norm, model.activation) == ("rotary", "rms", "swiglu")
    assert model.qk_norm and not model.bias and model.num_heads % model.kv_heads == 0


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("modern")])
def test_modern_presets_are_twins(name):
    model = preset(name).model
    twin = preset(name.replace("modern-", "" if "char" in name else "gpt2-")).model
    sizes = "num_layers num_heads width context_length dropout"
    assert all(getattr(model, size) == getattr(twin, size) for size in sizes.split())
    assert abs(3 * model.hidden_width - 2 * twin.hidden_width) <= 3 * 32


def test_the_default_model_is_the_preset_of_gpt2():
    assert preset("gpt2-124m").model == ModelConfig()


def test_derived_sizes():
    model = ModelConfig(width=96, num_heads=6)
    assert (model.head_dim, model.kv_heads, model.hidden_width) == (16, 6, 384)
    grouped = ModelConfig(width=96, num_heads=6, num_kv_heads=2, feed_forward_width=100)
    assert (grouped.kv_heads, grouped.hidden_width) == (2, 100)
    assert TrainConfig(model=ModelConfig(context_length=64), batch_size=3).tokens_per_step == 192


@pytest.mark.parametrize(
    ("values", "name", "suggestion"),
    [
        ({"stepz": 1}, "stepz", "Did you mean steps?"),
        ({"model": {"num_layer": 1}}, "model.num_layer", "Did you mean model.num_layers?"),
        ({"num_layers": 6}, "num_layers", "Did you mean model.num_layers?"),
        ({"learning_rate": 1}, "learning_rate", "Did you mean optimizer.learning_rate?"),
        ({"model": {"learning_rate": 1}}, "model.learning_rate", "optimizer.learning_rate?"),
        ({"optimiser": {"name": "muon"}}, "optimiser", "Did you mean optimizer?"),
        ({"zzz": 1}, "zzz", "Known here: batch_size"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_name(values, name, suggestion):
    with pytest.raises(KgptError) as caught:
        from_dict(values)
    assert f"There is no key {name}." in caught.value.message
    assert suggestion in caught.value.hint
    assert caught.value.exit_code == 2


BAD = [
    *[("model." + key, value) for key, value in [
        ("vocabulary_size", 0), ("context_length", 0), ("num_layers", 0), ("num_heads", 0),
        ("width", 0), ("width", 130), ("width", 1.5), ("width", "128"), ("width", True),
        ("num_kv_heads", -1), ("num_kv_heads", 5), ("num_kv_heads", 24), ("feed_forward_width", -1),
        ("dropout", 1.0), ("dropout", -0.1), ("norm_epsilon", 0.0), ("rotary_base", 1),
        ("positions", "sine"), ("norm", None), ("activation", ["gelu"]), ("bias", 1),
        ("tied_head", "yes"), ("initialization", ""),
    ]],
    *[("optimizer." + key, value) for key, value in [
        ("name", "sgd"), ("learning_rate", 0), ("learning_rate", "fast"), ("learning_rate", True),
        ("learning_rate", float("nan")), ("learning_rate", float("inf")), ("learning_rate", 10**400),
        ("muon_learning_rate", -1.0), ("epsilon", 0.0), ("embedding_learning_rate", -0.1),
        ("weight_decay", -0.1), ("clip_norm", -1), ("warmup_steps", -1), ("warmup_steps", 0.5),
        ("beta_1", 1.0), ("beta_2", -0.1), ("muon_momentum", 1), ("final_fraction", 1.1),
        ("decay_fraction", -0.1), ("schedule", "step"),
    ]],
    ("steps", 0), ("steps", 1e3), ("batch_size", 0), ("evaluate_every", 0), ("checkpoint_every", 0),
    ("keep", 0), ("log_every", 0), ("minutes", -1), ("epochs", -0.5), ("seed", -1), ("seed", 2**32), ("data", ""),
    ("data", 5), ("run", None), ("precision", "float16x"), ("sample_prompts", "one"),
    ("sample_prompts", [1]), ("model", 5), ("optimizer", "adamw"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), BAD, ids=lambda value: repr(value)[:30])
def test_wrong_types_and_ranges_name_the_key_and_the_value(key, value):
    nested = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    with pytest.raises(KgptError) as caught:
        from_dict(nested)
    assert caught.value.message.startswith(f"{key} must be ")
    assert f"Received: {key}=" in caught.value.message
    assert repr(value).strip("[]") in caught.value.message
    assert f"--set {key}=VALUE" in caught.value.hint


def test_rotary_positions_need_pairs():
    with pytest.raises(KgptError, match="even width per head"):
        ModelConfig(width=12, num_heads=4, positions="rotary")
    ModelConfig(width=12, num_heads=4, positions="learned")


def test_absent_keys_keep_the_value_of_the_base():
    base = preset("char-cpu")
    changed = from_dict({"model": {"dropout": 0.5}, "steps": 7}, base)
    assert changed == replace(base, steps=7, model=replace(base.model, dropout=0.5))
    assert model_from_dict({"width": 96}).width == 96


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(KgptError, match="Did you mean char-cpu"):
        preset("char_cpu")
    with pytest.raises(KgptError, match="Presets: demo"):
        preset("xyzzy")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("steps=6", {"steps": 6}),
        (" model.dropout = 0.5 ", {"model": {"dropout": 0.5}}),
        ("model.bias=false", {"model": {"bias": False}}),
        ("precision=bfloat16", {"precision": "bfloat16"}),
        ('data="a=b c"', {"data": "a=b c"}),
        ("data=a=b", {"data": "a=b"}),
        ('sample_prompts=["a", "b"]', {"sample_prompts": ["a", "b"]}),
        ("optimizer.learning_rate=1e-3", {"optimizer": {"learning_rate": 0.001}}),
    ],
)
def test_overrides_are_toml_or_text(text, values):
    assert parse_override(text) == values


@pytest.mark.parametrize("text", ["steps", "=5", " = 5", ""])
def test_an_override_needs_a_key_and_a_value(text):
    with pytest.raises(KgptError, match="KEY=VALUE"):
        parse_override(text)


@given(st.text())
def test_any_text_as_an_override_gives_values_or_a_clear_error(text):
    try:
        from_dict(parse_override(text))
    except KgptError as error:
        assert error.message and error.hint


nested = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner))


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abc"), nested), st.dictionaries(st.sampled_from("abc"), nested)
)
def test_merging_keeps_what_is_not_replaced(below, over):
    result = merged(below, over)
    assert result.keys() == below.keys() | over.keys()
    assert merged(result, over) == result
    assert merged(below, {}) == below
    for key in below.keys() - over.keys():
        assert result[key] == below[key]
    for key, value in over.items():
        if not isinstance(value, dict):
            assert result[key] == value


def test_merging_goes_into_tables():
    assert merged({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3}}) == {
        "a": {"x": 1, "y": 3},
        "b": 1,
    }


def test_a_run_file_gives_its_configuration(tmp_path):
    config = preset("char-cpu")
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"format_version": 1, "configuration": to_dict(config)}))
    assert from_dict(read_config_file(file)) == config


def test_a_time_budget_that_became_steps_is_not_spent_again(tmp_path):
    config = replace(preset("demo"), steps=321, minutes=2.8)
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"configuration": to_dict(config), "steps_fixed_at": 20}))
    assert from_dict(read_config_file(file)) == replace(config, minutes=0.0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.toml", None, "There is no file"),
        ("broken.toml", b"steps = ", "TOML"),
        ("latin.toml", "run = 'ação'".encode("latin-1"), "utf-8"),
        ("broken.json", b"{", "run.json"),
        ("list.json", b"[1]", "no configuration"),
        ("strange.json", b'{"configuration": 5}', "no configuration"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(KgptError) as caught:
        read_config_file(tmp_path / name)
    assert words in str(caught.value) and name in caught.value.message


def test_a_folder_is_no_configuration_file(tmp_path):
    with pytest.raises(KgptError, match="not readable"):
        read_config_file(tmp_path)
