"""The server against its own description: what it says it takes it takes, and what it answers is as it says."""

import re
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

from openlamda.serve.app import routes
from openlamda.serve.openapi import CALLS, document


@pytest.fixture
def described(make_app):
    """The schema of a running application, and a session for its page."""
    app = make_app(slowest_body=5.0)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.post("/api/session", json={}, headers={"X-Openlamda": "1"})
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        for methods in schema.raw_schema["paths"].values():
            for operation in methods.values():
                operation.pop("security")  # every request has the session below
        schema.session = dict(client.cookies)  # type: ignore[attr-defined]
        yield schema


def test_every_path_is_described():
    paths = document()["paths"]
    served = {
        (re.sub(r":path}", "}", route.path), method.lower()) for route in routes() for method in route.methods or ()
    }
    told = {(path, method) for path, methods in paths.items() for method in methods}
    undescribed = {(path, method) for path, method in served if method != "head"} - told
    assert undescribed == {("/", "get"), ("/static/{path}", "get")}
    assert told <= served


def test_the_document_is_whole(client):
    said = client.get("/openapi.json").json()
    known = set(said["components"]["schemas"])
    wanted = set(re.findall(r"#/components/schemas/([\w.]+)", msgspec.json.encode(said).decode()))
    assert wanted <= known and {"ChatRequest", "ChatChunk", "Error", "Done"} <= known
    for methods in said["paths"].values():
        for operation in methods.values():
            assert operation["summary"] and "503" in operation["responses"]


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/chat/completions", '{"messages": [{"role": "user", "content": "hello"}], "n": 2.0, "seed": 3e0}'),
        ("/v1/completions", '{"prompt": [[33.0, 34]], "max_tokens": 2.0, "logprobs": 1.0}'),
        ("/detokenize", '{"tokens": [33.0]}'),
    ],
)
def test_an_integer_may_be_written_with_a_point(client, path, body):
    def post(body):
        return client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert post(body).status_code == 200
    refused = post(body.replace(".0", ".5"))
    assert refused.status_code == 400 and "got `float`" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}], "stream": True}),
        ("/v1/completions", {"prompt": "hello", "max_tokens": 3, "stream": True}),
    ],
)
def test_a_stream_is_as_described(described, path, body):
    case = described[path]["post"].Case(body=body, media_type="application/json")
    response = case.call(cookies=described.session)
    assert response.status_code == 200 and response.text.startswith("data: {")
    case.validate_response(response)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_no_fault_and_no_answer_that_is_not_described(described, call, mode):
    """Schemathesis makes requests that are as described, and some that are not."""
    operation = described[call.path][call.method]
    suppressed: list[Any] = list(HealthCheck)

    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=suppressed)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        response = case.call(cookies=described.session)
        # a 400 with a code: what a schema cannot say, such as which message is last, or how large the vocabulary is
        coded = response.status_code == 400 and response.json()["error"]["code"] is not None
        without = [positive_data_acceptance] if coded else []
        if response.status_code == 413:  # a refusal, too, though Schemathesis does not count it as one
            without.append(negative_data_rejection)
        case.validate_response(response, excluded_checks=without)

    try:
        check()
    except Unsatisfiable:
        pytest.skip("nothing can be wrong with such a request")
