"""Whatever follows or breaks the server's own description gets an answer that follows it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from served import served

from kgpt.inference.generation import load_generator
from kgpt.serving.http import create_app
from kgpt.serving.service import Limits

MOST = 40


@pytest.fixture(scope="module")
def description(tiny_run):
    generator = load_generator(tiny_run, decoder="litert")
    app = create_app(generator, "tiny", Limits(streams=4, waiting=16, max_tokens=20))
    with served(app) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("description")


@schema.parametrize()
@settings(
    max_examples=MOST,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case):
    response = case.call(timeout=60)
    assert response.status_code < 500 or response.status_code == 503
    case.validate_response(
        response,
        excluded_checks=[
            # texts too long, models that are not there and ids beyond the vocabulary fit the description
            schemathesis.checks.positive_data_acceptance,
        ],
    )
