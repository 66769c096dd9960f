"""The scores that lm-eval gives: its own model class over PyTorch, its own tasks, beside kgpt's, on the same weights.

Needs the bench extra; run by `make test-peers`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
lm_eval = pytest.importorskip("lm_eval")

from tests.peers.test_transformers import named_as_ours  # noqa: E402

pytestmark = [pytest.mark.peer, pytest.mark.long]

CONTEXT = 64


@pytest.fixture(scope="module")
def texts() -> list[str]:
    from kgpt.text import encyclopedia

    return [text for text, _ in zip(encyclopedia.documents(), range(120), strict=False)]


@pytest.fixture(scope="module")
def tokenizer(texts, tmp_path_factory):
    """Ours, and the same file as transformers opens it."""
    from kgpt.text.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    ours = Tokenizer.train(texts, 600)
    ours.save(folder)
    end = ours.decode([ours.end_of_text])
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), eos_token=end
    )
    assert theirs.eos_token_id == ours.end_of_text
    return SimpleNamespace(ours=ours, theirs=theirs)


@pytest.fixture(scope="module", params=["random", "trained"])
def models(request, tokenizer, texts):
    """The same GPT-2 in lm-eval's class for transformers, and in ours."""
    from lm_eval.models.huggingface import HFLM

    from kgpt.config import ModelConfig
    from kgpt.evaluation.harness import HarnessModel
    from kgpt.evaluation.likelihood import LikelihoodScorer
    from kgpt.inference.decoder import KerasDecoder
    from kgpt.inference.generation import Generator
    from kgpt.model.gpt import build_gpt
    from kgpt.model.weights import assign

    size = tokenizer.ours.vocabulary_size
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=size, n_positions=CONTEXT, n_layer=2, n_head=4, n_embd=48,
        eos_token_id=tokenizer.ours.end_of_text, bos_token_id=None,
    )  # fmt: skip
    peer = transformers.GPT2LMHeadModel(config)
    if request.param == "trained":
        _train(peer, [token for text in texts for token in tokenizer.ours.encode(text)])
    else:
        with torch.no_grad():
            for weight in peer.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
    ours = build_gpt(
        ModelConfig(
            vocabulary_size=size, context_length=CONTEXT, num_layers=2, num_heads=4, width=48
        )
    )
    assign(ours.weights, named_as_ours(peer), "transformers")
    theirs = HFLM(
        pretrained=peer.eval(), tokenizer=tokenizer.theirs, batch_size=4, max_length=CONTEXT
    )
    scorer = LikelihoodScorer(ours, tokenizer.ours)
    model = HarnessModel(scorer, Generator(KerasDecoder(ours), tokenizer.ours))
    return SimpleNamespace(theirs=theirs, ours=model, scorer=scorer)


def _train(peer, ids: list[int]) -> None:
    rows = torch.tensor(ids[: len(ids) // CONTEXT * CONTEXT]).reshape(-1, CONTEXT)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=3e-3)
    peer.train()
    for step in range(60):
        batch = rows[torch.arange(16) * 7 + step]
        loss = peer(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if loss.item() > 5.5:
        raise RuntimeError(f"the peer has learned nothing: {loss.item()}")


def requests(kind: str, arguments) -> list:
    from lm_eval.api.instance import Instance

    return [
        Instance(request_type=kind, doc={}, arguments=item, idx=0, metadata=("t", number // 2, 1))
        for number, item in enumerate(arguments)
    ]


# === What the harness asks of a model ===


def test_log_likelihoods(models, texts):
    long = texts[0] * 3
    pairs = [
        ("", "Lisboa"), ("", " Lisboa"), ("A capital de Portugal é", " Lisboa"),
        ("A capital de Portugal é", " Porto, no norte do país"), ("A capital ", "de Portugal"),
        ("A capital\n\n", "de"), ("Pergunta: o quê?\nResposta:", " nada 🍎"), (long, " fim"),
        (long, texts[1][:60]), ("Olá", "!"),
    ]  # fmt: skip
    expected = models.theirs.loglikelihood(requests("loglikelihood", pairs), disable_tqdm=True)
    found = models.ours.loglikelihood(requests("loglikelihood", pairs))
    np.testing.assert_allclose(
        [score for score, _ in found], [score for score, _ in expected], rtol=1e-5
    )
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]


def test_rolling_log_likelihoods(models, texts):
    given = [(text,) for text in (texts[0][:40], texts[1], texts[2] * 2, "a")]
    kind = "loglikelihood_rolling"
    expected = models.theirs.loglikelihood_rolling(requests(kind, given), disable_tqdm=True)
    np.testing.assert_allclose(
        models.ours.loglikelihood_rolling(requests(kind, given)), expected, rtol=1e-5
    )


def test_texts_until(models, texts):
    plain = {"until": ["\n\n"], "max_gen_toks": 12, "do_sample": False}
    stopped = {"until": [".", "a", "\n"], "max_gen_toks": 20}
    given = [
        ("A capital de Portugal é", plain), ("Pergunta", plain), (texts[0] * 3, plain),
        ("A capital de Portugal é", stopped), (texts[3][:90], stopped),
    ]  # fmt: skip
    expected = models.theirs.generate_until(requests("generate_until", given), disable_tqdm=True)
    assert models.ours.generate_until(requests("generate_until", given)) == expected
    assert len(set(expected)) > 2


# === Tasks ===


def sentences(texts) -> list[str]:
    found = [part.strip() for text in texts for part in text.split(".") if len(part.split()) > 5]
    return [part for part in found if not any(char in part for char in "\n\"'")][:60]


def rows_of(task: str, texts) -> list[dict]:
    found = sentences(texts)
    words = [sentence.split() for sentence in found]
    if task == "lambada":
        return [{"text": sentence} for sentence in found]
    if task == "blimp":
        swapped = [" ".join([*item[:1], item[2], item[1], *item[3:]]) for item in words]
        return [
            {"sentence_good": good, "sentence_bad": bad}
            for good, bad in zip(found, swapped, strict=True)
        ]
    rows = []
    for number, item in enumerate(words):
        ends = [" ".join(words[(number + step) % len(words)][4:]) for step in range(4)]
        answer = number % 4
        ends[0], ends[answer] = ends[answer], ends[0]
        start = " ".join(item[:4])
        rows.append(
            {
                "piqa": {"goal": start, "sol1": ends[0], "sol2": ends[1], "label": number % 2},
                "arc-easy": {
                    "question": start,
                    "choices": {"text": ends, "label": list("ABCD")},
                    "answerKey": "ABCD"[answer],
                },
                "hellaswag": {
                    "activity_label": "[header] Saber",
                    "ctx_a": start,
                    "ctx_b": "e [title] isto" if number % 2 else "",
                    "endings": ends,
                    "label": str(answer),
                },
                "choices": {"context": start, "choices": ends, "answer": answer},
            }[task]
        )
    return rows


CHOICES = {
    "task": "any_choices",
    "output_type": "multiple_choice",
    "test_split": "test",
    "doc_to_text": "{{context}}",
    "doc_to_target": "answer",
    "doc_to_choice": "{{choices}}",
    "metric_list": [
        {"metric": name, "aggregation": "mean", "higher_is_better": True}
        for name in ("acc", "acc_bytes")
    ],
}
PAGES = {
    "lambada": "lambada/lambada_openai.yaml",
    "blimp": "blimp/adjunct_island.yaml",
    "piqa": "piqa/piqa.yaml",
    "arc-easy": "arc/arc_easy.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "choices": "",
}
"""lm-eval's own descriptions of tasks."""


@pytest.fixture(scope="module")
def manager():
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False)


def harness_results(
    model, task: str, file: Path, cache: Path, manager
) -> tuple[dict[str, float], list]:
    """lm-eval's own task, its wording and its metrics, over the rows of a file; and what it noted of each row."""
    splits = dict.fromkeys(("train", "validation", "test"), str(file))
    local = {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": splits, "cache_dir": str(cache)},
    }
    from lm_eval.tasks._yaml_loader import load_yaml

    own = (
        CHOICES
        if task == "choices"
        else load_yaml(Path(lm_eval.tasks.__file__).parent / PAGES[task])
    )
    config = {**own, **local}
    found = lm_eval.simple_evaluate(
        model, tasks=[config], task_manager=manager, bootstrap_iters=1000
    )
    (values,) = found["results"].values()
    (samples,) = found["samples"].values()
    return {name.replace(",none", ""): value for name, value in values.items()}, samples


@pytest.mark.parametrize("task", PAGES)
def test_tasks(models, manager, texts, task, tmp_path):
    """Our own tasks from a file, and lm-eval's through the adapter, against lm-eval's with its own model class."""
    from kgpt.evaluation.questions import answer
    from kgpt.evaluation.task_files import read_questions

    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows_of(task, texts)))
    expected, samples = harness_results(models.theirs, task, file, tmp_path, manager)
    adapted, _ = harness_results(models.ours, task, file, tmp_path, manager)
    questions = read_questions(task, str(file))
    found = answer(questions, models.scorer.score_texts).values
    assert found["questions"] == len(questions) == 60
    assert found["accuracy"] == expected["acc"] == adapted["acc"]
    assert found["accuracy_error"] == pytest.approx(expected["acc_stderr"], rel=1e-9)
    if task == "lambada":
        assert found["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)
        assert adapted["perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)
        # not its bootstrap, which no formula meets where one hard question outweighs the others
        losses = -np.array([sample["perplexity"] for sample in samples])
        error = np.exp(losses.mean()) * losses.std(ddof=1) / np.sqrt(len(losses))
        assert found["perplexity_error"] == pytest.approx(error, rel=1e-4)
    if task == "choices":
        assert found["accuracy_norm"] == expected["acc_bytes"] == adapted["acc_bytes"]
    if "acc_norm" in expected:
        assert adapted["acc_norm"] == expected["acc_norm"]


# === The command ===

TASK = """task: fins
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {cache}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_target: answer
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


def test_the_command_runs_tasks_of_the_harness(texts, tmp_path, capsys):
    """A task of one's own, two runs, a limit; an unknown one is refused."""
    from kgpt.commands import main
    from kgpt.model.gpt import build_gpt
    from kgpt.text.tokenizer import Tokenizer
    from tests.kgpt.tiny import GPT2_SHAPE, write_run

    rows = rows_of("choices", texts)
    file, folder = tmp_path / "rows.jsonl", tmp_path / "tasks"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder.mkdir()
    (folder / "fins.yaml").write_text(TASK.format(file=file, cache=tmp_path))
    for name, seed in (("one", 1), ("two", 2)):
        write_run(tmp_path / "runs" / name, build_gpt(GPT2_SHAPE, seed=seed), Tokenizer.bytes())

    def evaluate(*arguments: str) -> tuple[int, str, str]:
        code = main(["evaluate", *arguments, "--saved-models", str(tmp_path / "runs")])
        return code, *capsys.readouterr()

    harness = ("--task", "harness:fins", "--file", str(folder))
    code, out, err = evaluate("one", "two", *harness, "--limit", "9", "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    ours = evaluate("one", "--task", "choices", "--file", str(file), "--limit", "9", "--json")[1]
    found = result["evaluations"][0]["results"]["fins"]
    assert found["acc"] == json.loads(ours.splitlines()[-1])["accuracy"]
    assert found["sample_len"] == 9 and 0 < found["acc_stderr"] < 0.5
    assert [item["figure"] for item in result["comparison"]] == ["fins acc"]
    code, out, err = evaluate("one", "--task", "harness:fin", "--file", str(folder))
    assert (code, out) == (2, "") and "lm-eval has no task 'fin'. Did you mean" in err
