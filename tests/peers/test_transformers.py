"""The same numbers as transformers and PyTorch give, side by side. Needs the bench extra; run by `make test-peers`."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.peer, pytest.mark.long]

SHAPE = {"vocabulary_size": 200, "context_length": 32, "num_layers": 3, "num_heads": 4, "width": 48}
LAYERS = {
    "attention/output": "attn.c_proj",
    "feed_forward/up": "mlp.c_fc",
    "feed_forward/down": "mlp.c_proj",
}


@pytest.fixture(scope="module")
def peer():
    """transformers' GPT-2 with random weights, biases and norms too."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=200,
        n_positions=32,
        n_layer=3,
        n_head=4,
        n_embd=48,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def named_as_ours(model) -> dict[str, np.ndarray]:
    """transformers' weights under kgpt's names."""
    theirs = {name: value.detach().numpy() for name, value in model.transformer.named_parameters()}
    ours = {
        "gpt/token_embedding/embeddings": theirs["wte.weight"],
        "gpt/position_embedding/embeddings": theirs["wpe.weight"],
        "gpt/final_norm/gamma": theirs["ln_f.weight"],
        "gpt/final_norm/beta": theirs["ln_f.bias"],
    }
    for index in range(model.config.n_layer):
        block, name = f"gpt/block_{index}/", f"h.{index}."
        for norm, theirs_norm in (("attention_norm", "ln_1"), ("feed_forward_norm", "ln_2")):
            ours[f"{block}{norm}/gamma"] = theirs[f"{name}{theirs_norm}.weight"]
            ours[f"{block}{norm}/beta"] = theirs[f"{name}{theirs_norm}.bias"]
        for kind, ours_kind in (("weight", "kernel"), ("bias", "bias")):
            parts = np.split(theirs[f"{name}attn.c_attn.{kind}"], 3, axis=-1)
            for part, value in zip(("query", "key", "value"), parts, strict=True):
                ours[f"{block}attention/{part}/{ours_kind}"] = value
            for layer, theirs_layer in LAYERS.items():
                ours[f"{block}{layer}/{ours_kind}"] = theirs[f"{name}{theirs_layer}.{kind}"]
    return ours


@pytest.fixture(scope="module")
def model(peer):
    from kgpt.config import ModelConfig
    from kgpt.model.gpt import build_gpt
    from kgpt.model.weights import assign

    built = build_gpt(ModelConfig(**SHAPE))
    assign(built.weights, named_as_ours(peer), "transformers")
    return built


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(0).integers(0, 200, (4, 32)).astype("int32")


def test_logits_are_gpt2s(model, peer, ids):
    with torch.no_grad():
        expected = peer(torch.tensor(ids.astype("int64"))).logits.numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(np.array(model(ids)), expected, atol=1e-4)


def test_the_loss_is_pytorchs(model, peer, ids):
    from kgpt.evaluation.loss import LossEvaluator
    from kgpt.evaluation.tokens import InMemoryTokens

    row = [int(token) for token in ids[0]]
    measured = LossEvaluator(model, end_of_text=7).measure(InMemoryTokens(row), num_bytes=1)
    with torch.no_grad():
        logits = peer(torch.tensor([[7, *row[:-1]]])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row)).item()
    assert measured.loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("length", "stride"), [(32, 32), (32, 8), (20, 5), (20, 19)])
def test_perplexity_with_a_stride_is_that_of_transformers_guide(model, peer, length, stride):
    """The loop of https://huggingface.co/docs/transformers/perplexity, summed over tokens."""
    from kgpt.evaluation.loss import LossEvaluator
    from kgpt.evaluation.tokens import InMemoryTokens

    row = np.random.default_rng(3).integers(0, 200, 143).tolist()
    evaluator = LossEvaluator(model, end_of_text=7, context_length=length)
    measured = evaluator.measure(InMemoryTokens(row), num_bytes=1, stride=stride)
    ids = torch.tensor(
        [[7, *row]]
    )  # the guide leaves the first token out; here it is the end of a text
    total, before = 0.0, 0
    for begin in range(0, len(row), stride):
        end = min(begin + length, len(row))
        inputs = ids[:, begin:end]
        targets = ids[0, begin + 1 : end + 1].clone()
        targets[: max(0, before - begin)] = -100
        with torch.no_grad():
            logits = peer(inputs).logits[0].double()
        total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
        before = end
        if end == len(row):
            break
    assert measured.perplexity == pytest.approx(np.exp(total / len(row)), rel=1e-4)


def test_greedy_text_is_transformers(model, peer):
    from kgpt.inference.decoder import KerasDecoder

    prompt = [5, 17, 100]
    decoder = KerasDecoder(model)
    logits, ours = decoder.prefill([prompt]), []
    for _ in range(20):
        ours.append(int(np.argmax(logits[0])))
        logits = decoder.step([ours[-1]])
    theirs = peer.generate(
        torch.tensor([prompt]),
        max_new_tokens=20,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert ours == theirs[0, len(prompt) :].tolist()


def test_training_steps_are_pytorchs_adamw(model, peer, ids):
    """Five steps with clipping and decay of matrices only: the same losses as the same recipe in PyTorch."""
    import keras

    from kgpt.config import OptimizerConfig
    from kgpt.training.optimizers import GPTOptimizer

    config = OptimizerConfig(
        learning_rate=1e-3, warmup_steps=0, final_fraction=1.0, weight_decay=0.1, clip_norm=1.0
    )
    model.compile(
        optimizer=GPTOptimizer(config, 5),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    matrices = [weight for weight in peer.parameters() if weight.ndim >= 2]
    vectors = [weight for weight in peer.parameters() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    ours, theirs = [], []
    for _ in range(5):
        ours.append(float(model.train_on_batch(ids[:, :-1], ids[:, 1:])))
        logits = peer(torch.tensor(ids[:, :-1].astype("int64"))).logits
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, 200), torch.tensor(ids[:, 1:].astype("int64")).reshape(-1)
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 1.0)
        optimizer.step()
        theirs.append(loss.item())
    assert theirs[-1] < theirs[0] - 0.5
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_transformers_opens_the_tokenizer_with_the_same_ids(tmp_path):
    from kgpt.text import encyclopedia
    from kgpt.text.tokenizer import Tokenizer

    texts = [text for text, _ in zip(encyclopedia.documents(), range(300), strict=False)]
    ours = Tokenizer.train(texts, 1000)
    ours.save(tmp_path)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in [*texts[:100], "Olá,  mundo!\n\n\tÉ o fim… 👩‍🚀 don't 12345", ""]:
        assert theirs(text)["input_ids"] == ours.encode(text)


@pytest.mark.parametrize("packs", [True, False])
def test_the_masked_loss_of_conversations_and_its_gradient_are_pytorchs(peer, packs):
    """Packed or a row each: as if every conversation were read alone, and a mean over what is learned."""
    import tensorflow as tf

    from kgpt.config import ModelConfig
    from kgpt.model.gpt import build_gpt
    from kgpt.model.weights import assign
    from kgpt.text.answer_rows import AnswerRow
    from kgpt.training.answer_batches import AnswerBatches
    from kgpt.training.losses import TrainedGPT

    random = np.random.default_rng(5)
    rows = []
    for length in (5, 14, 9, 3, 12, 7):
        ids = random.integers(0, 200, length + 1).tolist()
        answer = int(random.integers(1, length))
        weights = [0.0] * (length - answer) + [1.0] * answer
        rows.append(AnswerRow(ids[:-1], ids[1:], weights))
    batches = AnswerBatches(rows, 6, 32, 1, filling=7, packs=packs)
    ours = build_gpt(ModelConfig(**SHAPE), model_class=TrainedGPT, tokens_at_once=6 * 32)
    assign(ours.weights, named_as_ours(peer), "transformers")
    inputs, targets, weights = (tf.nest.map_structure(tf.constant, part) for part in batches.at(0))
    with tf.GradientTape() as tape:
        vectors = ours(inputs, training=True)
        loss = ours.compute_loss(inputs, targets, vectors, weights, training=True)
    table = ours.token_embedding.embeddings
    gradient = tf.convert_to_tensor(tape.gradient(loss, table.value))
    peer.zero_grad()
    total, count = torch.tensor(0.0), 0.0
    for row in rows:
        logits = peer(torch.tensor([row.inputs])).logits[0]
        nats = torch.nn.functional.cross_entropy(
            logits, torch.tensor(row.targets), reduction="none"
        )
        total, count = total + (nats * torch.tensor(row.weights)).sum(), count + sum(row.weights)
    (total / count).backward()
    assert float(loss) == pytest.approx((total / count).item(), abs=1e-5)
    theirs = peer.transformer.wte.weight.grad.numpy()
    np.testing.assert_allclose(gradient.numpy(), theirs, atol=1e-5)
