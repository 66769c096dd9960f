"""The HTTP server: a model behind the OpenAI API, with a page to try it.

In: a generator and limits. Out: an ASGI application. Every error has the API's shape.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from kgpt.errors import KgptError
from kgpt.inference.generation import Generator
from kgpt.serving.event_stream import Gone
from kgpt.serving.guards import BodyGuard, KeyGuard, body_of, error_body, status_of
from kgpt.serving.metrics import MetricsGuard
from kgpt.serving.openai_models import (
    ChatCompletion,
    ChatRequest,
    Completion,
    CompletionRequest,
    ErrorBody,
    Model,
    ModelList,
)
from kgpt.serving.service import Limits, Service
from kgpt.text.templates import Template

PAGE = Path(__file__).with_name("page.html")
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered."},
    "5XX": {"model": ErrorBody, "description": "The server cannot answer."},
}


def create_app(
    generator: Generator,
    name: str,
    limits: Limits | None = None,
    api_key: str = "",
    cors: Sequence[str] = (),
    template: Template | None = None,
) -> FastAPI:
    """The application; `cors` names the origins whose pages may call it. A model that answers has a `template`."""
    limits = limits or Limits()
    service = Service(generator, name, limits, template)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.batcher.close)

    app = FastAPI(title="kgpt", summary=f"The model {name}", lifespan=lifespan)
    app.state.service = service
    _add_routes(app, service)
    add_errors(app)
    paths = {"/", "/health", "/metrics", "/v1/models", "/v1/completions", "/v1/chat/completions"}
    app.add_middleware(BodyGuard, most=limits.body_bytes)
    if api_key:
        app.add_middleware(KeyGuard, key=api_key)
    if cors:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(cors), allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(MetricsGuard, metrics=service.metrics, paths=paths)
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    model = Model(id=service.name, object="model", created=service.created, owned_by="kgpt")

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        headers = {"content-security-policy": policy + "connect-src 'self'"}
        return HTMLResponse(PAGE.read_text("utf-8"), headers=headers)

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok", "model": service.name}

    @app.get("/metrics", response_class=PlainTextResponse, responses=ERRORS)
    def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models", responses=ERRORS)
    def models() -> ModelList:
        """The model that is served."""
        return ModelList(object="list", data=[model])

    @app.get("/v1/models/{name:path}", responses=ERRORS)
    def one_model(name: str) -> Model:
        """The model, if it is the one that is served."""
        if name != service.name:
            raise HTTPException(404, f"There is no model {name!r} here.")
        return model

    event = {"type": "object", "properties": {"data": {"type": "string"}}}
    described = {"content": {"text/event-stream": {"schema": event}}}
    in_json = [Depends(check_kind)]

    @app.post(
        "/v1/completions",
        response_model=Completion,
        responses={200: described, **ERRORS},
        dependencies=in_json,
    )
    async def completions(body: CompletionRequest, request: Request) -> Response:
        """Continue one or more prompts."""
        return await service.complete(body, request)

    @app.post(
        "/v1/chat/completions",
        response_model=ChatCompletion,
        responses={200: described, **ERRORS},
        dependencies=in_json,
    )
    async def chat(body: ChatRequest, request: Request) -> Response:
        """Answer a conversation, with a model that was tuned for it."""
        return await service.chat(body, request)


def check_kind(request: Request) -> None:
    """A page of another origin may send a form without being asked; JSON it may not."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Expected a body of JSON (Content-Type: application/json).")


def add_errors(app: FastAPI) -> None:
    """Answer every error in the API's shape."""

    @app.exception_handler(KgptError)
    async def refused(request: Request, error: KgptError) -> Response:
        status = status_of(error)
        headers = {"retry-after": "1"} if status in (429, 503) else {}
        return JSONResponse(body_of(error), status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()[0]
        where = [str(part) for part in found["loc"] if part != "body"]
        message = f"{'.'.join(where) or 'The body'}: {found['msg']}"
        kind = "invalid_request_error"
        return JSONResponse(error_body(message, kind, None, where[0] if where else None), 400)

    @app.exception_handler(HTTPException)
    async def unanswered(request: Request, error: HTTPException) -> Response:
        is_model = error.status_code == 404 and "no model" in str(error.detail)
        code = "model_not_found" if is_model else None
        body = error_body(str(error.detail), "invalid_request_error", code)
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return JSONResponse(error_body("The server failed; its log says why.", "server_error"), 500)

    @app.exception_handler(Gone)
    async def gone(request: Request, error: Gone) -> Response:
        return Response(status_code=499)  # nobody reads it; nginx's number for it
