"""The HTTP server of a classifier: labels and probabilities for texts.

In: a classifier and limits. Out: an ASGI application. Errors have the shape that OpenAI's API gives them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, ConfigDict, Field

from kgpt.inference.classification import TextClassifier
from kgpt.inference.thresholds import Thresholds
from kgpt.serving.guards import BodyGuard, KeyGuard
from kgpt.serving.http import ERRORS, add_errors, check_kind
from kgpt.serving.openai_models import Model, ModelList

MOST_TEXTS = 1024
"""In one request."""


class LabelRequest(BaseModel):
    """Texts to label."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: str | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]
    """A text, or a list of texts."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    """No label is given below this probability."""
    model: str | None = None


class LabelledText(BaseModel):
    """What the classifier says of one text."""

    text: str
    label: str | None
    """None: no label is probable enough."""
    probabilities: dict[str, float]


class LabelResponse(BaseModel):
    """The results, in the order of the texts."""

    object: Literal["list"]
    model: str
    results: list[LabelledText]


def create_label_app(
    classifier: TextClassifier,
    name: str,
    body_bytes: int = 1_000_000,
    api_key: str = "",
    cors: Sequence[str] = (),
) -> FastAPI:
    """The application; `cors` names the origins whose pages may call it."""
    app = FastAPI(title="kgpt", summary=f"The classifier {name}")
    served = Model(id=name, object="model", created=int(time.time()), owned_by="kgpt")
    one_at_a_time = threading.Lock()  # each call uses all cores

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok", "model": name}

    @app.get("/v1/models", responses=ERRORS)
    def models() -> ModelList:
        """The classifier that is served."""
        return ModelList(object="list", data=[served])

    @app.post("/v1/classify", responses=ERRORS, dependencies=[Depends(check_kind)])
    def classify(body: LabelRequest) -> LabelResponse:
        """Label one or more texts."""
        texts = [body.input] if isinstance(body.input, str) else body.input
        with one_at_a_time:
            found = list(classifier.classify(texts, Thresholds(body.threshold)))
        results = [LabelledText(**item.to_dict()) for item in found]
        return LabelResponse(object="list", model=name, results=results)

    add_errors(app)
    app.add_middleware(BodyGuard, most=body_bytes)
    if api_key:
        app.add_middleware(KeyGuard, key=api_key)
    if cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(cors), allow_methods=["*"], allow_headers=["*"]
        )
    return app
