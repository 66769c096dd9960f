"""Counts and times of the server, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from kgpt.serving.batching import Batcher

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What happened since the start."""

    def __init__(self, batcher: Batcher) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Batch(batcher))
        self.requests = Counter(
            "kgpt_requests", "Requests answered.", ["path", "status"], registry=self._registry
        )
        self.first_token = Histogram(
            "kgpt_first_token_seconds",
            "From a request to the first token of its text.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "kgpt_request_seconds",
            "From a request to the end of its answer.",
            buckets=SECONDS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self._registry)


class _Batch:
    """The batcher's counts."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    def collect(self) -> Iterator[Any]:
        counts = self._batcher.counts
        yield GaugeMetricFamily("kgpt_texts_running", "Texts being written.", self._batcher.running)
        yield GaugeMetricFamily("kgpt_texts_waiting", "Texts that wait.", self._batcher.waiting)
        yield CounterMetricFamily("kgpt_tokens", "Tokens written.", counts.tokens)
        yield CounterMetricFamily("kgpt_prompt_tokens", "Tokens read.", counts.prompt_tokens)
        yield CounterMetricFamily("kgpt_steps", "Steps of the batch.", counts.steps)
        yield CounterMetricFamily("kgpt_cancelled", "Texts given up.", counts.cancelled)


class MetricsGuard:
    """Counts every answer; an ASGI middleware."""

    def __init__(self, app: Any, metrics: Metrics, paths: set[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Go on, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"
        is_answered = False

        async def counted(message: Any) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                self._metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            if not is_answered:  # the answer to it is made outside
                self._metrics.requests.labels(path, "500").inc()
            raise
