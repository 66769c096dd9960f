"""The server as its clients see it: OpenAI's own client, plain HTTP, and many at once."""

from __future__ import annotations

import http.client
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from served import call, served
from tiny import TEXT

from kgpt.inference.generation import load_generator
from kgpt.protocol import GenerateOptions
from kgpt.serving.http import create_app
from kgpt.serving.service import Limits

PATH = "/v1/completions"


@pytest.fixture(scope="module")
def generator(tiny_run):
    return load_generator(tiny_run, decoder="litert")


@pytest.fixture(scope="module")
def app(generator):
    return create_app(generator, "tiny", Limits(streams=8, waiting=64, max_tokens=500))


@pytest.fixture(scope="module")
def url(app):
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def expected(generator, prompt, seed, **options):
    return generator.generate(prompt, GenerateOptions(seed=seed, **options))


# === OpenAI's client ===


def test_the_model_is_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "kgpt"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_a_completion(client, generator):
    prompt = TEXT[:10]
    answer = client.completions.create(
        model="tiny", prompt=prompt, max_tokens=30, temperature=0, seed=1
    )
    assert (
        answer.choices[0].text == expected(generator, prompt, 1, max_tokens=30, temperature=0).text
    )
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (
        len(prompt.encode()),
        30,
    )
    assert answer.usage.total_tokens == len(prompt.encode()) + 30
    assert answer.model == "tiny"


def test_the_end_of_the_text_stops(client):
    answer = client.completions.create(model="tiny", prompt="", max_tokens=200, temperature=0)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (TEXT, "stop")


def test_a_stream_gives_the_same(client):
    asked = {"model": "tiny", "prompt": TEXT[:5], "max_tokens": 40, "temperature": 2.0, "seed": 5}
    whole = client.completions.create(**asked)
    chunks = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    texts = [choice.text for chunk in chunks for choice in chunk.choices]
    assert len(texts) > 1  # how many, depends on how busy the server is
    assert "".join(texts) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert reasons == [None] * (len(reasons) - 1) + [whole.choices[0].finish_reason]


def test_a_streamed_character_is_whole(client):
    for chunk in client.completions.create(
        model="tiny", prompt=TEXT[:1], max_tokens=100, temperature=1.5, seed=2, stream=True
    ):
        for choice in chunk.choices:
            choice.text.encode()  # raises for half a surrogate pair


def test_several_texts_of_several_prompts(client, generator):
    prompts = [TEXT[:4], TEXT[3:9]]
    answer = client.completions.create(
        model="tiny", prompt=prompts, n=3, seed=7, temperature=1.5, max_tokens=12
    )
    texts = [choice.text for choice in sorted(answer.choices, key=lambda choice: choice.index)]
    assert texts == [
        expected(generator, prompt, seed, temperature=1.5, max_tokens=12).text
        for prompt in prompts
        for seed in (7, 8, 9)
    ]
    assert answer.usage.prompt_tokens == sum(len(prompt.encode()) for prompt in prompts)


def test_prompts_of_ids(client, generator):
    ids = generator.tokenizer.encode(TEXT[:6])
    asked = {"model": "tiny", "max_tokens": 8, "temperature": 0}
    by_text = client.completions.create(prompt=TEXT[:6], **asked).choices[0].text
    assert client.completions.create(prompt=ids, **asked).choices[0].text == by_text
    two = client.completions.create(prompt=[ids, ids], **asked).choices
    assert [choice.text for choice in two] == [by_text, by_text]
    assert (
        client.completions.create(prompt=ids, echo=True, **asked).choices[0].text
        == TEXT[:6] + by_text
    )


def test_stop_texts(client):
    stop = TEXT[20:23]
    answer = client.completions.create(
        model="tiny", prompt=TEXT[:10], max_tokens=60, temperature=0, stop=stop
    )
    assert answer.choices[0].text == TEXT[10:20]
    assert answer.choices[0].finish_reason == "stop"
    chunks = client.completions.create(
        model="tiny", prompt=TEXT[:10], max_tokens=60, temperature=0, stop=["%%", stop], stream=True
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT[10:20]


def test_log_probabilities(client, generator):
    prompt = TEXT[:8]
    answer = client.completions.create(
        model="tiny", prompt=prompt, max_tokens=6, temperature=1.0, seed=3, logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    options = GenerateOptions(max_tokens=6, temperature=1.0, seed=3)
    pieces = list(generator.stream(prompt, options, alternatives=2))
    assert logprobs.token_logprobs == pytest.approx(
        [math.log(p.probability) for p in pieces], abs=1e-4
    )
    assert [len(top) for top in logprobs.top_logprobs] == [2] * 6
    for top, piece in zip(logprobs.top_logprobs, pieces, strict=True):
        assert sorted(top.values()) == pytest.approx(
            sorted(math.log(other.probability) for other in piece.alternatives), abs=1e-4
        )
    assert logprobs.text_offset[0] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 1),
        ("top_p", 0.01),
        ("min_p", 0.99),
        ("typical_p", 0.01),
        ("repetition_penalty", 50.0),
        ("frequency_penalty", 2.0),
        ("presence_penalty", 2.0),
        ("no_repeat_ngram_size", 1),
        ("logit_bias", {str(ord("z")): 100}),
        ("temperature", 0),
        ("seed", 12),
    ],
)
def test_each_option_changes_the_text(client, name, value):
    asked = {"model": "tiny", "prompt": TEXT[:6], "max_tokens": 60, "temperature": 2.5, "seed": 11}
    plain = client.completions.create(**asked).choices[0].text
    is_the_apis = name in (
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "temperature",
        "seed",
    )
    more = {name: value} if is_the_apis else {"extra_body": {name: value}}
    assert client.completions.create(**{**asked, **more}).choices[0].text != plain


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"temperature": -1}, openai.BadRequestError, "temperature"),
        ({"n": 73}, openai.APIStatusError, "may ask for 72"),
        ({"prompt": ["a"] * 37, "n": 2}, openai.APIStatusError, "may ask for 72"),
        ({"logit_bias": {"1": 101}}, openai.BadRequestError, "logit_bias"),
        ({"logit_bias": {str(i): 0 for i in range(1025)}}, openai.BadRequestError, "logit_bias"),
        ({"top_p": 0}, openai.BadRequestError, "top_p"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
        ({"n": 0}, openai.BadRequestError, "n:"),
        ({"prompt": "a" * 129}, openai.APIStatusError, "context has 128 tokens"),
        ({"prompt": [5, 999]}, openai.BadRequestError, "999"),
        ({"max_tokens": 501}, openai.APIStatusError, "at most 500"),
        ({"logit_bias": {"999": 1}}, openai.BadRequestError, "999"),
        ({"model": "gpt-4"}, openai.NotFoundError, "'gpt-4'"),
        ({"extra_body": {"best_off": 3}}, openai.BadRequestError, "best_off"),
        ({"extra_body": {"top_k": 1.5}}, openai.BadRequestError, "top_k"),
    ],
)
def test_bad_requests(client, change, kind, says):
    asked = {"model": "tiny", "prompt": "a", "max_tokens": 5, **change}
    for stream in (False, True):
        with pytest.raises(kind, match=says) as raised:
            client.completions.create(**asked, stream=stream)
        assert set(raised.value.body) == {"message", "type", "param", "code"}


def test_a_conversation_needs_a_model_for_it(client):
    with pytest.raises(openai.BadRequestError, match="not fine-tuned to answer"):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Oi"}])


# === Plain HTTP ===


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b'{"prompt": "\\ud800"}', {}, 400),
        (b'{"temperature": NaN}', {}, 400),
        (b'{"temperature": Infinity}', {}, 400),
        (b'{"prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", {}, 400),
        (b"prompt=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'{"prompt": "' + b"a" * 10_000_000 + b'"}', {}, 413),
    ],
)
def test_broken_bodies(url, body, headers, status):
    try:
        answered, error = call(url, PATH, body, headers=headers)
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # the server has closed the connection that it need not read
    else:
        assert answered == status
        assert error["error"]["message"]
    assert call(url, "/health")[0] == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no", 404), ("GET", PATH, 405)])
def test_wrong_places(url, method, path, status):
    answered, body = call(url, path, method=method)
    assert (answered, bool(body["error"]["message"])) == (status, True)


def test_a_whitespace_prompt_is_a_prompt(url):
    status, body = call(url, PATH, {"prompt": " \n", "max_tokens": 3})
    assert (status, body["usage"]["prompt_tokens"]) == (200, 2)


def test_counts_for_prometheus(url):
    before = call(url, "/metrics")[1]
    call(url, PATH, {"prompt": "a", "max_tokens": 7, "logit_bias": {"256": -100}})
    after = call(url, "/metrics")[1]

    def value(text, name):
        return float(
            next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1]
        )

    assert value(after, "kgpt_tokens_total") - value(before, "kgpt_tokens_total") == 7
    count = "kgpt_first_token_seconds_count"
    assert value(after, count) - value(before, count) == 1


def test_the_documentation_describes_what_is_there(url):
    document = call(url, "/openapi.json")[1]
    assert {"/v1/completions", "/v1/models", "/v1/chat/completions"} <= set(document["paths"])
    assert "422" not in json.dumps(document)


def test_no_origin_may_call_unless_asked(generator, url):
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("OPTIONS", PATH, headers=asked)
    answer = connection.getresponse()
    assert answer.getheader("access-control-allow-origin") is None
    with served(create_app(generator, "tiny", cors=["https://example.com"])) as other:
        connection = http.client.HTTPConnection(other.removeprefix("http://"))
        connection.request("OPTIONS", PATH, headers=asked)
        answer = connection.getresponse()
        assert answer.getheader("access-control-allow-origin") == "https://example.com"


def test_a_key_is_asked_for(generator):
    with served(create_app(generator, "tiny", api_key="açúcar")) as url:
        assert call(url, "/health")[0] == call(url, "/")[0] == 200
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic x"}):
            status, body = call(url, "/v1/models", headers=headers)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        right = {"Authorization": "Bearer açúcar".encode().decode("latin-1")}
        assert call(url, "/v1/models", headers=right)[0] == 200


# === Many at once ===


def test_requests_at_once_are_each_as_alone(url, generator):
    def ask(number):
        prompt = TEXT[number % 20 : number % 20 + 1 + number % 7]
        body = {"prompt": prompt, "seed": number, "max_tokens": 5 + number, "temperature": 1.5}
        status, answer = call(url, PATH, body)
        assert status == 200
        return prompt, number, answer["choices"][0]["text"]

    with ThreadPoolExecutor(30) as pool:
        for prompt, number, text in pool.map(ask, range(30)):
            alone = expected(generator, prompt, number, max_tokens=5 + number, temperature=1.5)
            assert text == alone.text


def test_a_text_longer_than_the_context(url, generator):
    body = {
        "prompt": "a",
        "max_tokens": 300,
        "temperature": 1.2,
        "seed": 4,
        "logit_bias": {"256": -100},
    }
    options = GenerateOptions(max_tokens=300, temperature=1.2, seed=4, logit_bias={256: -100})
    assert call(url, PATH, body)[1]["choices"][0]["text"] == generator.generate("a", options).text


def test_a_client_that_leaves_frees_its_place(generator):
    app = create_app(generator, "tiny", Limits(streams=1, waiting=4, max_tokens=10**6))
    endless = {"prompt": "a", "max_tokens": 10**6, "logit_bias": {"256": -100}}
    with served(app) as url:
        for stream in (True, False):
            connection = http.client.HTTPConnection(url.removeprefix("http://"))
            headers = {"Content-Type": "application/json"}
            connection.request("POST", PATH, json.dumps({**endless, "stream": stream}), headers)
            if stream:
                assert connection.getresponse().readline().startswith(b"data: ")
            else:
                time.sleep(0.2)
            connection.sock.close()
            connection.close()
            status, answer = call(url, PATH, {"prompt": "a", "max_tokens": 2})
            assert status == 200
        assert app.state.service.batcher.counts.cancelled == 2


def test_too_many_requests(generator):
    app = create_app(generator, "tiny", Limits(streams=1, waiting=1, seconds=1.0, max_tokens=10**6))
    endless = {"prompt": "a", "max_tokens": 10**6, "logit_bias": {"256": -100}}
    with served(app) as url, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(call, url, PATH, endless)]
        time.sleep(0.3)
        answers.append(pool.submit(call, url, PATH, {**endless, "max_tokens": 3}))
        time.sleep(0.2)
        status, body = call(url, PATH, endless)
        assert (status, body["error"]["type"]) == (429, "rate_limit_error")
        status, body = answers[0].result()
        assert (status, body["choices"][0]["finish_reason"]) == (200, "length")  # after a second
        assert answers[1].result()[0] == 200


def test_waiting_has_an_end(generator):
    app = create_app(generator, "tiny", Limits(streams=1, waiting=1, seconds=0.5, max_tokens=10**6))
    endless = {"prompt": "a", "max_tokens": 10**6, "logit_bias": {"256": -100}}
    batcher = app.state.service.batcher
    with served(app) as url, ThreadPoolExecutor(2) as pool:
        first = pool.submit(call, url, PATH, {**endless, "stream": False})
        time.sleep(0.2)
        for text in batcher._texts:
            text.order.deadline = (
                time.monotonic() + 1.5
            )  # the first takes longer than the second may wait
        status, body = call(url, PATH, endless)
        assert status == 503
        assert "Waited too long" in body["error"]["message"]
        assert first.result()[0] == 200


def test_the_page_says_what_it_may_load(url):
    status, page = call(url, "/")
    assert status == 200
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
