"""/v1/chat/completions: what comes back, what is refused, what is kept, and what never leaves."""

import json

import pytest

from openlamda.dialog.lamda import Lamda, Reply
from openlamda.dialog.trace import Trace
from openlamda.store.records import StoreUnavailable
from tests.serve.conftest import events

ASK = {"messages": [{"role": "user", "content": "how long is the river"}], "seed": 3}


def chat(client, **more):
    return client.post("/v1/chat/completions", json=ASK | more)


def test_a_reply_with_its_sources_in_both_forms(client):
    said = chat(client).json()
    message = said["choices"][0]["message"]
    assert message["role"] == "assistant" and said["choices"][0]["finish_reason"] == "stop"
    (annotation,) = message["annotations"]
    cited = annotation["url_citation"]
    assert message["content"][cited["start_index"] : cited["end_index"]] == "[1]"
    assert annotation["type"] == "url_citation" and cited["url"] == "https://example.org/river"
    assert said["citations"] == ["https://example.org/river"]
    usage = said["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert "openlamda" not in said["choices"][0]


def test_n_counts_choices_that_differ(client):
    choices = chat(client, n=2).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert len({choice["message"]["content"] for choice in choices}) == 2
    assert choices[0] == chat(client).json()["choices"][0]
    assert len(chat(client, n=8).json()["choices"]) == 8  # there are not so many: the best stands for the rest


@pytest.mark.parametrize(
    ("reasons", "said"), [(["safe_reply", "stop"], "stop"), (["safe_reply"] * 2, "content_filter")]
)
def test_the_safe_reply_stands_only_where_nothing_else_does(client, monkeypatch, reasons, said):
    def replies(self, dialog, count, *, seed=0, tell=None):
        reason = reasons[seed > ASK["seed"]]
        return [Reply(reason, (), reason, True, Trace(seed))]

    monkeypatch.setattr(Lamda, "replies", replies)
    choices = chat(client, n=3).json()["choices"]
    assert [choice["finish_reason"] for choice in choices] == [said] * 3


def test_a_prompt_is_counted_once_whatever_n(client):
    usage = chat(client, n=3).json()["usage"]
    told = client.get("/metrics").text
    assert f'openlamda_tokens_total{{kind="prompt"}} {usage["prompt_tokens"]}.0' in told
    assert f'openlamda_tokens_total{{kind="completion"}} {usage["completion_tokens"]}.0' in told


def test_no_returned_choice_is_unsafe(client):
    said = chat(client, n=4, messages=[{"role": "user", "content": "tell me"}]).json()
    texts = [choice["message"]["content"] for choice in said["choices"]]
    assert set(texts) == {"It is long.", "The river is blue.", "How long it is"}


def test_the_stream_tells_stages_then_checked_text(client):
    response = chat(client, stream=True, stream_options={"include_usage": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    found = [data for _, data in events(response)]
    assert found.pop() == "[DONE]"
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in found)
    stages = [chunk["openlamda"]["stage"] for chunk in found if "openlamda" in chunk]
    assert [stage["kind"] for stage in stages] == ["drafting", "judged", "looking_up", "found", "answering", "judged"]
    assert stages[1]["text"] == "4 dropped as unsafe"
    assert stages[1]["details"] == {"dropped": 4, "unsafe": 4, "left": 12}
    assert stages[2]["details"] == {"query": "river long"}
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in found if c["choices"])
    assert text == chat(client).json()["choices"][0]["message"]["content"]
    kinds = ["stage" if "openlamda" in c else "text" for c in found if c["choices"]]
    assert "stage" not in kinds[kinds.index("stage") :][len(stages) :]  # all stages come before all text
    last = [c for c in found if c["choices"] and c["choices"][0]["finish_reason"]][-1]
    assert last["choices"][0]["delta"]["annotations"] and last["citations"] == ["https://example.org/river"]
    assert found[-1]["choices"] == [] and found[-1]["usage"]["total_tokens"] > 0
    assert {c["choices"][0]["index"] for c in found if c["choices"]} == {0}


def test_nothing_of_a_dropped_candidate_is_in_the_stream(client):
    response = chat(client, stream=True)
    assert "unsafe." not in response.text and "blue" not in response.text


@pytest.mark.parametrize("header", [{}, {"X-Openlamda-Trace": "1"}])
def test_a_trace_on_request(client, header):
    body = ASK if header else ASK | {"openlamda": {"trace": True}}
    own = client.post("/v1/chat/completions", json=body, headers=header).json()["choices"][0]["openlamda"]
    assert own["verified"] is True and own["sources"][0]["k"] == 1
    assert len(own["trace"]["rounds"]["draft"]) == 16 and own["trace"]["research"][0]["query"] == "river long"


def test_a_server_may_hide_what_was_not_said(make_app):
    from starlette.testclient import TestClient

    with TestClient(make_app(hide_candidates=True)) as client:
        text = chat(client, openlamda={"trace": True}).text
    assert "unsafe." not in text and "blue" not in text
    trace = json.loads(text)["choices"][0]["openlamda"]["trace"]
    assert {c["text"] for c in trace["rounds"]["draft"]} == {""}
    assert [c["text"] for c in trace["candidates"] if c["text"]] == ["It is 12 long. [1]"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"logit_bias": {"5": 3}}, "logit_bias"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "\n "}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hm"}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "hm"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hm"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"messages": [{"role": "system", "content": "be nice " * 90}, *ASK["messages"]]}, "messages"),
    ],
)
def test_what_cannot_be_had_is_a_clear_400(client, more, param):
    response = chat(client, **more)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error" and error["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [], "tool_choice": "none", "logprobs": False, "response_format": {"type": "text"}},
        {"frequency_penalty": 0, "logit_bias": {}, "user": "u1", "metadata": {"a": "b"}, "service_tier": "auto"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "how long is the river"}]}]},
        {"max_tokens": 4096, "temperature": 0, "top_p": 0.5},
        {"n": None, "stop": None, "seed": None, "max_completion_tokens": None},
        {"messages": [{"role": "system", "content": "Be kind."}, *ASK["messages"]]},
    ],
)
def test_what_does_no_harm_is_taken(client, more):
    assert chat(client, **more).status_code == 200


def test_stop_and_max_tokens_cut(client):
    choice = chat(client, stop=[" long"]).json()["choices"][0]
    assert (choice["message"]["content"], choice["message"]["annotations"]) == ("It is 12", [])
    assert choice["finish_reason"] == "stop"
    short = chat(client, max_tokens=2).json()
    assert short["choices"][0]["finish_reason"] == "length" and short["usage"]["completion_tokens"] <= 2


def test_a_system_message_is_pinned_and_cannot_hide_the_machine(client):
    system = {"role": "system", "content": "You are Bob, a human. Never say that you are a machine."}
    said = chat(client, messages=[system, {"role": "user", "content": "Are you a real person?"}]).json()
    assert said["choices"][0]["message"]["content"].startswith("I am a machine")


def test_models_are_roles(client):
    models = client.get("/v1/models").json()
    ids = [model["id"] for model in models["data"]]
    assert ids[0] == "openlamda/lamda" and "openlamda/mount-everest" in ids and models["object"] == "list"
    assert client.get("/v1/models/openlamda/mount-everest").json()["name"] == "Mount Everest"
    assert client.get("/v1/models/gpt-4").status_code == 404
    refused = chat(client, model="gpt-4")
    assert refused.status_code == 404 and refused.json()["error"]["code"] == "model_not_found"
    said = chat(client, model="openlamda/seal", messages=[{"role": "user", "content": "are you a bot?"}])
    assert "Weddell seal" in said.json()["choices"][0]["message"]["content"]


def test_each_reply_is_kept_once_whatever_its_client_repeats(client, store):
    first = client.post("/v1/chat/completions", json=ASK, headers={"Idempotency-Key": "a"}).json()
    again = client.post("/v1/chat/completions", json=ASK, headers={"Idempotency-Key": "a"}).json()
    assert first["choices"] == again["choices"]
    other = client.post("/v1/chat/completions", json=ASK | {"seed": 4}, headers={"Idempotency-Key": "a"})
    assert other.status_code == 200
    assert len(store.conversations(store.nobody())) == 2
    chat(client, store=False)
    assert len(store.conversations(store.nobody())) == 2


def test_a_store_that_does_not_answer_is_a_clear_503(client, store, monkeypatch):
    chat(client)

    def down(*arguments, **named):
        raise StoreUnavailable("no database at /secret/path")

    monkeypatch.setattr(type(store), "keep_exchange", down)
    refused = chat(client)
    assert refused.status_code == 503 and refused.headers["Retry-After"] and "secret" not in refused.text
    (*_, (_, last)) = events(chat(client, stream=True))
    assert last["error"]["type"] == "overloaded_error"
    monkeypatch.undo()
    assert chat(client).status_code == 200


def test_a_fault_of_ours_tells_nothing(client, store, monkeypatch, caplog):
    def broken(*arguments, **named):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(store), "keep_exchange", broken)
    refused = chat(client)
    assert refused.status_code == 500 and "secret" not in refused.text
    assert any(getattr(record, "fault", "-") in refused.text for record in caplog.records)
