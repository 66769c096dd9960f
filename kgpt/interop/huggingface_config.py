"""transformers' `config.json` and our `ModelConfig`, one from the other.

In: the values of a `config.json`. Out: the `ModelConfig` that computes the same, or which option has no place in it;
and the other way round, or which of our options no class of transformers has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.correspondence import listed
from kgpt.language import _

TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
"""transformers' names of the approximation of GELU that GPT-2 was trained with."""

_REFUSED = "No such model here"
_GPT2_FIXED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
_QWEN3_FIXED = {"attention_bias": False, "use_sliding_window": False, "hidden_act": "silu"}


def model_config(values: Mapping[str, Any], source: object) -> ModelConfig:
    """The architecture that a `config.json` describes; its vocabulary has as many ids as the tables have rows.

    Raises:
        KgptError: it is another architecture, or has an option that kgpt's models have not.
    """
    kind = values.get("model_type")
    read = {"gpt2": _from_gpt2, "qwen3": _from_qwen3}.get(str(kind))
    if read is None:
        classes = values.get("architectures")
        named = (
            f" ({', '.join(map(str, classes))})" if isinstance(classes, list) and classes else ""
        )
        raise KgptError(
            _("Another architecture"),
            _(
                "Expected a GPT-2, or a Qwen3 of kgpt's shapes. Received: {kind}{named} in {source}",
                kind=kind or _("no model_type"),
                named=named,
                source=source,
            ),
            _(
                "GPT-2's relatives with its very architecture can be imported, such as distilgpt2 "
                "and DialoGPT."
            ),
        )
    with configuration_errors(source):
        return read(values, source)


@contextmanager
def configuration_errors(source: object) -> Iterator[None]:
    """Turn what goes wrong while values of a configuration are read into an error that names its file.

    Raises:
        KgptError: a value is missing, or no model can have it.
    """
    try:
        yield
    except KgptError as error:
        if error.title == _REFUSED:
            raise
        raise refused(source, error.message.rstrip(".")) from None
    except KeyError as error:
        raise refused(source, _("it has no {missing}", missing=error.args[0])) from None
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise refused(source, _("a value of it cannot be used ({error})", error=error)) from None


def _from_gpt2(values: Mapping[str, Any], source: object) -> ModelConfig:
    _check_fixed(values, _GPT2_FIXED, source)
    activation = values.get("activation_function", "gelu_new")
    if activation not in TANH_GELU:
        raise refused(
            source,
            _(
                "activation_function is {activation!r}, and kgpt has GPT-2's gelu_new",
                activation=activation,
            ),
        )
    return ModelConfig(
        vocabulary_size=values["vocab_size"],
        context_length=values["n_positions"],
        num_layers=values["n_layer"],
        num_heads=values["n_head"],
        width=values["n_embd"],
        feed_forward_width=_unless_default(values.get("n_inner"), 4 * values["n_embd"]),
        norm_epsilon=values.get("layer_norm_epsilon", 1e-5),
        tied_head=values.get("tie_word_embeddings", True),
        dropout=_dropout([values.get(f"{name}_pdrop", 0.1) for name in ("resid", "embd", "attn")]),
    )


def _from_qwen3(values: Mapping[str, Any], source: object) -> ModelConfig:
    _check_fixed(values, _QWEN3_FIXED, source)
    heads, width = values["num_attention_heads"], values["hidden_size"]
    if values.get("head_dim", width // heads) * heads != width:
        raise refused(
            source,
            _(
                "head_dim is {head_dim}, and kgpt's heads share the width: {width} "
                "/ {heads} = {each}",
                head_dim=values["head_dim"],
                width=width,
                heads=heads,
                each=width // heads,
            ),
        )
    if set(values.get("layer_types") or ()) - {"full_attention"}:
        raise refused(
            source,
            _(
                "layer_types are {layer_types}, and kgpt has full_attention",
                layer_types=values["layer_types"],
            ),
        )
    rotary = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if (rotary.get("rope_type") or rotary.get("type") or "default") != "default":
        raise refused(
            source,
            _(
                "rope_type is {rope_type!r}, and kgpt has the default",
                rope_type=rotary["rope_type"],
            ),
        )
    kv_heads = values.get("num_key_value_heads") or heads
    return ModelConfig(
        vocabulary_size=values["vocab_size"],
        context_length=values["max_position_embeddings"],
        num_layers=values["num_hidden_layers"],
        num_heads=heads,
        num_kv_heads=0 if kv_heads == heads else kv_heads,
        width=width,
        feed_forward_width=_unless_default(values["intermediate_size"], 4 * width),
        positions="rotary",
        rotary_base=float(rotary.get("rope_theta") or values.get("rope_theta") or 10000.0),
        norm="rms",
        norm_epsilon=values.get("rms_norm_eps", 1e-6),
        qk_norm=True,
        activation="swiglu",
        bias=False,
        tied_head=values.get("tie_word_embeddings", False),
        dropout=values.get("attention_dropout", 0.0),
    )


def _unless_default(given: Any, default: int) -> Any:
    """Zero stands for the default, so that a shape has one configuration."""
    return 0 if given in (None, default) else given


def _dropout(rates: list[Any]) -> float:
    """The rate, if it is the same everywhere; kgpt has one. It matters in training alone."""
    return float(rates[0]) if len(set(rates)) == 1 else 0.0


def _check_fixed(values: Mapping[str, Any], fixed: Mapping[str, Any], source: object) -> None:
    for name, expected in fixed.items():
        if values.get(name, expected) != expected:
            raise refused(
                source,
                _(
                    "{name} is {value!r}, and kgpt has {expected!r}",
                    name=name,
                    value=values[name],
                    expected=expected,
                ),
            )


def refused(source: object, reason: str) -> KgptError:
    """The error for a model whose configuration has no place here."""
    return KgptError(
        _REFUSED,
        f"{source}: {reason}.",
        "kgpt imports models that its own configuration describes exactly.",
    )


# === Export ===


def to_gpt2(config: ModelConfig) -> dict[str, Any]:
    """What makes `GPT2LMHeadModel` compute the same.

    Raises:
        KgptError: it has no place for one of the options.
    """
    c = config
    check_gpt2_parts(c, "transformers' GPT-2")
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": c.padded_vocabulary_size,
        "n_positions": c.context_length,
        "n_ctx": c.context_length,
        "n_embd": c.width,
        "n_layer": c.num_layers,
        "n_head": c.num_heads,
        "n_inner": c.feed_forward_width or None,
        "activation_function": TANH_GELU[0],
        "layer_norm_epsilon": c.norm_epsilon,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.dropout,
        "tie_word_embeddings": c.tied_head,
    }


def check_gpt2_parts(config: ModelConfig, home: str) -> None:
    """Refuse what GPT-2's architecture has not. A model without biases is one whose biases are zero.

    Raises:
        KgptError: it has no place for one of the options.
    """
    c = config
    expected = {"norm": "layer", "qk_norm": False, "activation": "gelu", "positions": "learned"}
    _check_parts(c, expected, home)
    if c.kv_heads != c.num_heads:
        raise no_home(home, [f"model.num_kv_heads={c.num_kv_heads}"])


def to_qwen3(config: ModelConfig) -> dict[str, Any]:
    """What makes `Qwen3ForCausalLM` compute the same.

    Raises:
        KgptError: it has no place for one of the options.
    """
    c = config
    expected = {"norm": "rms", "qk_norm": True, "activation": "swiglu", "bias": False}
    _check_parts(c, expected, "transformers' Qwen3")
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": c.padded_vocabulary_size,
        "max_position_embeddings": c.context_length,
        "hidden_size": c.width,
        "num_hidden_layers": c.num_layers,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "intermediate_size": c.hidden_width,
        "hidden_act": "silu",
        "rms_norm_eps": c.norm_epsilon,
        "rope_theta": c.rotary_base,
        "attention_bias": False,
        "attention_dropout": c.dropout,
        "use_sliding_window": False,
        "tie_word_embeddings": c.tied_head,
    }


def _check_parts(config: ModelConfig, expected: Mapping[str, Any], home: str) -> None:
    wrong = [
        f"model.{name}={getattr(config, name)}"
        for name, value in expected.items()
        if getattr(config, name) != value
    ]
    if wrong:
        raise no_home(home, wrong)


def no_home(home: str, options: list[str]) -> KgptError:
    """The error for options that another program's model has no place for."""
    return KgptError(
        _("No class for this model"),
        _("{home} has no place for {options}.", home=home, options=listed(options)),
        _("`kgpt export` has formats for every model: saved-model, keras, litert and onnx."),
    )
