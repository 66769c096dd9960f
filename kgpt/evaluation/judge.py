"""A language model as a judge: continuations and a rubric in, scores from 0 to 100 out.

The judge answers at an address that speaks OpenAI's chat completions, such as a local server; the `openai` client
(extra `judge`) talks to it, with its retries and time-outs. A reply without a score is asked for again, and counted if
there is none at last. Loads neither Keras nor TensorFlow.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.writing import Sample
from kgpt.language import _
from kgpt.packages import optional_package

KEYS = ("KGPT_JUDGE_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set."""
ASKED = 3
"""Times that a score is asked for."""
AT_ONCE = 4
RUBRIC = (
    "Judge how good the continuation is as a continuation of the prompt: grammar, coherence with the prompt, sense,"
    " and freedom from repetition. 0 is unreadable, 50 readable with clear faults, 100 what a good writer would write."
)
_FORM = 'Reply with JSON alone: {"score": N}, where N is a number from 0 to 100.'
_JSON = re.compile(r"\{[^{}]*\}")
_NAMED = re.compile(r"(?:score|nota|pontuação)\W{0,6}?(-?\d+(?:[.,]\d+)?)", re.IGNORECASE)
_ALONE = re.compile(r"\s*(-?\d+(?:[.,]\d+)?)\s*(?:/\s*100|%)?\s*\.?\s*\Z")


@dataclass(frozen=True)
class Judge:
    """Who judges, and how."""

    url: str
    model: str
    rubric: str = RUBRIC
    timeout: float = 60.0
    """Seconds that a reply may take."""

    def scores(
        self,
        samples: Sequence[Sample],
        on_progress: Callable[[int, int], object] = lambda done, of: None,
    ) -> list[float | None]:
        """The score of each sample; None where no reply had one.

        Raises:
            KgptError: `openai` is missing, or the judge refuses the key, the model or the request.
            KgptFailure: it cannot be reached, or does not answer in time.
        """
        client, found = self._client(), []
        with ThreadPoolExecutor(AT_ONCE) as threads:
            try:
                for score in threads.map(lambda sample: self._score(client, sample), samples):
                    found.append(score)
                    on_progress(len(found), len(samples))
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        return found

    def check(self) -> None:
        """Find out whether anybody answers at the address, before anything is written for it.

        Raises:
            KgptError: `openai` is missing, or the address is none.
            KgptFailure: nobody does.
        """
        import openai

        client = self._client()
        try:
            client.with_options(max_retries=0).models.list()
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from None
        except openai.OpenAIError:  # it answers; some servers have no list of models
            return

    def _client(self) -> Any:
        openai = optional_package("openai", "judge", "--task judge")
        if not re.match(r"https?://[^/]", self.url):
            raise KgptError(
                _("Bad address"),
                _(
                    "Expected an address such as http://127.0.0.1:8000/v1. Received: {url!r}",
                    url=self.url,
                ),
                _("Give the address before /chat/completions."),
            )
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "none")
        return openai.OpenAI(base_url=self.url, api_key=key, timeout=self.timeout, max_retries=2)

    def _score(self, client: Any, sample: Sample) -> float | None:
        import openai

        content = (
            f"{self.rubric}\n\nPrompt:\n{sample.prompt}\n\nContinuation:\n{sample.text}\n\n{_FORM}"
        )
        messages = [{"role": "user", "content": content}]
        try:
            for _attempt in range(ASKED):
                reply = client.chat.completions.create(
                    model=self.model, messages=messages, temperature=0
                )
                text = _text(reply)
                score = read_score(text)
                if score is not None:
                    return score
                messages = [
                    messages[0],
                    {"role": "assistant", "content": text},
                    {"role": "user", "content": f"That is no score. {_FORM}"},
                ]
        except (
            openai.APIConnectionError,
            openai.InternalServerError,
            openai.RateLimitError,
        ) as error:
            raise self._unreachable(error) from None
        except openai.OpenAIError as error:
            raise KgptError(
                _("The judge refuses"),
                f"{self.url}: {_first_line(error)}",
                _("Check --judge-model, and the key in {keys}.", keys=" or ".join(KEYS)),
            ) from None
        except ValueError as error:  # a body that says it is JSON and is not
            raise KgptError(
                _("No judge there"),
                _(
                    "{url} answers with something that is no JSON ({error}).",
                    url=self.url,
                    error=_first_line(error),
                ),
                _("Check --judge-url: it mostly ends in /v1."),
            ) from None
        return None

    def _unreachable(self, error: Exception) -> KgptFailure:
        return KgptFailure(
            _("Judge not reached"),
            f"{self.url}: {_first_line(error)}",
            _("Check --judge-url, and that its server is up."),
        )


def read_score(reply: str) -> float | None:
    """The score in a reply: in JSON, after the word score, or a number alone; None if none lies between 0 and 100."""
    for text in reversed(_JSON.findall(reply)):
        try:
            value = json.loads(text).get("score")
        except (ValueError, AttributeError):
            continue
        if isinstance(value, str):
            return read_score(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _within(float(value))
    named = _NAMED.findall(reply)
    alone = _ALONE.match(reply)
    text = named[-1] if named else alone[1] if alone else ""
    return _within(float(text.replace(",", "."))) if text else None


def read_rubric(path: str | None) -> str:
    """The rubric in a file, or the one that is built in.

    Raises:
        KgptError: there is no such file, or it is empty.
    """
    if path is None:
        return RUBRIC
    try:
        rubric = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KgptError(
            _("Cannot read the rubric"), f"{path}: {error}", _("Give a text in UTF-8.")
        ) from None
    if not rubric:
        raise KgptError(
            _("Empty rubric"), _("{path} is empty.", path=path), _("Say in it what a good text is.")
        )
    return rubric


def _within(value: float) -> float | None:
    return value if 0 <= value <= 100 else None


def _text(reply: Any) -> str:
    """The text of a reply, whatever a server leaves out."""
    choices = getattr(reply, "choices", None) or []
    message = getattr(choices[0], "message", None) if choices else None
    return str(getattr(message, "content", None) or "")


def _first_line(error: Exception) -> str:
    cause = error.__cause__
    return f"{str(error).splitlines()[0]}{f' ({cause})' if cause else ''}"[:200]
