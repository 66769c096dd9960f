"""The report on the encyclopedia: tables in; counts, faults and two sample articles out on stdout.

`python -m kgpt.text.encyclopedia` ends with exit code 1 if a table is wrong or a held-out template is in the text.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from kgpt.errors import KgptError
from kgpt.text.encyclopedia.compose import write_documents
from kgpt.text.encyclopedia.questions import (
    DEFAULT_PROMPTS,
    Prompt,
    find_held_out,
    list_facts,
    most_common_answer_scores,
    select_prompts,
)
from kgpt.text.encyclopedia.tables import (
    Subject,
    load_subject,
    subject_keys,
    tables_folder,
)


def main() -> int:
    """Print the report; return the exit code."""
    subjects, faults = _load_each()
    texts = list(write_documents(subjects, seed=1))
    prompts = select_prompts(subjects, DEFAULT_PROMPTS, seed=1)
    _print_subjects(subjects, prompts)
    print(f"\n{sum(len(text.encode()) for text in texts):,} bytes, {len(texts):,} documents\n")
    _print_scores(subjects, prompts)
    held_out = dict(find_held_out(subjects, texts))
    print(f"\nHeld-out templates found in the text: {len(held_out)}")
    for template, words in held_out.items():
        print(f"  {template}\n    {words}")
    for text in texts[:2]:
        print(f"\n{'-' * 60}\n{text}")
    for fault in faults:
        print(f"\n{fault}", file=sys.stderr)
    return 1 if held_out or faults else 0


def _load_each() -> tuple[list[Subject], list[KgptError]]:
    """Load every subject that is right, so that a faulty table does not hide the others."""
    subjects, faults = [], []
    for key in subject_keys(tables_folder()):
        try:
            subjects.append(load_subject(tables_folder(), key))
        except KgptError as fault:
            faults.append(fault)
    return subjects, faults


def _print_subjects(subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> None:
    facts = Counter(fact.subject for fact in list_facts(subjects))
    asked = Counter(prompt.subject for prompt in prompts)
    print(f"{'subject':<24}{'entities':>10}{'relations':>10}{'facts':>10}{'prompts':>10}")
    totals: Counter[int] = Counter()
    for subject in subjects:
        row = (
            len(subject.entities),
            len(subject.relations),
            facts[subject.key],
            asked[subject.key],
        )
        totals.update(dict(enumerate(row)))
        _print_row(subject.key, row)
    _print_row("total", [totals[column] for column in range(4)])


def _print_row(key: str, numbers: Sequence[int]) -> None:
    print(f"{key:<24}" + "".join(f"{number:>10}" for number in numbers))


def _print_scores(subjects: Sequence[Subject], prompts: Sequence[Prompt]) -> None:
    scores = most_common_answer_scores(subjects, prompts)
    asked = Counter((prompt.subject, prompt.relation) for prompt in prompts)
    right = sum(scores[key] * number for key, number in asked.items())
    print(
        f"The most common answer of each relation is right for {right / max(1, len(prompts)):.1%} of the prompts:"
    )
    for (subject, relation), score in sorted(scores.items(), key=lambda item: -item[1]):
        print(f"  {subject + '.' + relation:<40}{score:>7.1%} of {asked[subject, relation]}")


if __name__ == "__main__":
    sys.exit(main())
