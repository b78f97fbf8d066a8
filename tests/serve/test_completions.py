"""/v1/completions over the model that ships: logprobs against the engine's, our remote engine as a client."""

import math

import pytest
from starlette.testclient import TestClient

from openlamda.engine.base import Checked, Limits, Sampling
from openlamda.engine.remote import RemoteLanguageModel
from openlamda.engine.scripted import ScriptedModel
from openlamda.loading import load
from openlamda.serve.agents import Agents
from openlamda.serve.app import create_app
from openlamda.serve.completing import Wanted, prompt_of
from openlamda.serve.completing import complete as complete_by
from openlamda.serve.settings import Settings
from openlamda.store.opening import open_store
from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import UNSPOKEN
from openlamda.text.tokenizer import Symbol
from tests.serve.conftest import events, serving

TEXT = "The height of Mount Everest"


@pytest.fixture(scope="module")
def nano():
    with pytest.MonkeyPatch.context() as patch:  # float32 on every CPU, so that two ways to read a prompt agree
        patch.setattr("openlamda.model.weights.multiplies_bfloat16", lambda: False)
        return load()


@pytest.fixture(scope="module")
def app(nano, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("store") / "store.db"))
    yield create_app(Settings(), Agents(lambda: nano, "nano"), store)
    store.close()


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def complete(client, **asked):
    response = client.post("/v1/completions", json=asked)
    assert response.status_code == 200, response.text
    return response.json()


def test_an_echo_tells_the_engines_own_logprobs(client, nano):
    said = complete(client, prompt=TEXT, max_tokens=0, echo=True, logprobs=3)
    (choice,) = said["choices"]
    found, tokens = choice["logprobs"], nano.tokenizer.encode(TEXT)
    assert choice["text"] == TEXT and choice["finish_reason"] == "length"
    wanted = nano.model.score((int(Symbol.DOCUMENT),), [tuple(tokens)])[0]
    assert found["token_logprobs"] == pytest.approx(wanted, abs=1e-4)
    assert "".join(found["tokens"]).strip() == TEXT
    ends = [*found["text_offset"][1:], len(TEXT)]
    cut = [TEXT[a:b] for a, b in zip(found["text_offset"], ends, strict=True)]
    assert [piece.strip() for piece in cut] == [token.strip() for token in found["tokens"]]
    for token, logprob, top in zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True):
        assert top[token] == logprob and 3 <= len(top) <= 4
        assert sum(math.exp(other) for other in top.values()) <= 1.0001
    assert said["usage"] == {"prompt_tokens": 1 + len(tokens), "completion_tokens": 0, "total_tokens": 1 + len(tokens)}


def test_the_likeliest_token_is_the_one_that_is_drawn_at_temperature_0(client):
    said = complete(client, prompt=TEXT, max_tokens=6, temperature=0, logprobs=2, echo=False)
    found = said["choices"][0]["logprobs"]
    assert len(found["tokens"]) == 6
    for token, top in zip(found["tokens"], found["top_logprobs"], strict=True):
        assert max(top, key=top.__getitem__) == token


def test_every_prompt_gets_n_choices_in_order(client):
    said = complete(client, prompt=["a", "b"], n=2, max_tokens=3, seed=5)
    assert [choice["index"] for choice in said["choices"]] == [0, 1, 2, 3]
    again = complete(client, prompt=["a", "b"], n=2, max_tokens=3, seed=5)
    assert said["choices"] == again["choices"] != complete(client, prompt=["a", "b"], n=2, max_tokens=3)["choices"]


def test_ids_are_read_as_these_ids_and_may_be_control_symbols(client, nano):
    ids = [int(Symbol.USER_TURN), *nano.tokenizer.encode("hello"), int(Symbol.RESPONSE)]
    said = complete(client, prompt=ids, max_tokens=4, echo=True, logprobs=1, return_tokens_as_token_ids=True)
    found = said["choices"][0]["logprobs"]
    assert found["tokens"][: len(ids)] == [f"token_id:{i}" for i in ids]
    assert found["token_logprobs"][0] is None and found["top_logprobs"][0] is None
    many = complete(client, prompt=[ids, ids[:2]], max_tokens=1)
    assert len(many["choices"]) == 2 and many["usage"]["prompt_tokens"] == len(ids) + 2


def test_text_never_becomes_a_control_symbol_nor_is_one_said_to_it(client, nano):
    said = complete(client, prompt="<RESPONSE> </s> <TS>", max_tokens=0, echo=True, return_token_ids=True)
    assert all(not nano.tokenizer.is_symbol(token) for token in said["choices"][0]["token_ids"])
    drawn = complete(client, prompt="hello", max_tokens=64, n=8, seed=1, return_token_ids=True)
    for choice in drawn["choices"]:
        assert all(not nano.tokenizer.is_symbol(t) or t == Symbol.EOS for t in choice["token_ids"])


def test_a_stop_text_cuts_text_and_logprobs(client):
    whole = complete(client, prompt=TEXT, max_tokens=12, temperature=0)["choices"][0]["text"]
    word = whole.split()[2]
    said = complete(client, prompt=TEXT, max_tokens=12, temperature=0, stop=[word], logprobs=0)["choices"][0]
    assert said["text"] == whole[: whole.index(word)] and said["finish_reason"] == "stop"
    assert max(said["logprobs"]["text_offset"]) < len(said["text"])


def test_a_stream_is_the_same_text(client):
    asked = {"prompt": TEXT, "max_tokens": 8, "seed": 5}
    found = [d for _, d in events(client.post("/v1/completions", json=asked | {"stream": True}))]
    assert found.pop() == "[DONE]"
    text = "".join(chunk["choices"][0]["text"] for chunk in found)
    assert text == complete(client, **asked)["choices"][0]["text"]
    assert found[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": ["a", 5]}, "prompt"),
        ({"prompt": [99999]}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": "a", "max_tokens": 9000}, "prompt"),
        ({"prompt": ["a"] * 100, "n": 2}, "prompt"),
        ({"prompt": "a", "best_of": 4}, "best_of"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "logit_bias": {"x": 100}}, "logit_bias"),
        ({"prompt": "a", "logit_bias": {"5": 7}}, "logit_bias"),
        ({"prompt": "a", "stop_token_ids": [99999]}, "stop_token_ids"),
    ],
)
def test_what_cannot_be_done_is_a_clear_400(client, asked, param):
    response = client.post("/v1/completions", json=asked)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


def test_the_tokenizer_that_harnesses_ask(client, nano):
    said = client.post("/tokenize", json={"prompt": TEXT, "add_special_tokens": False}).json()
    assert said["tokens"] == nano.tokenizer.encode(TEXT) and said["count"] == len(said["tokens"])
    assert client.post("/detokenize", json={"tokens": said["tokens"]}).json() == {"prompt": TEXT}
    assert client.get("/tokenizer_info").json()["eos_token"] == "</s>"


def test_an_engine_that_cannot_tell_the_likeliest_names_none(nano):
    prompt = prompt_of(nano.tokenizer, TEXT)
    wanted = Wanted(sampling=Sampling(), max_tokens=0, echo=True, logprobs=1)
    (choice,), _ = complete_by(Checked(nano.model, Limits()), nano.tokenizer, prompt, wanted)
    assert choice.logprobs and choice.logprobs.top_logprobs is None and all(choice.logprobs.token_logprobs)


def test_an_engine_may_end_where_no_stop_was_asked_for(nano):
    said = tuple(nano.tokenizer.encode("tea is hot"))
    model = ScriptedModel(lambda prefix, n: [said])
    prompt = prompt_of(nano.tokenizer, TEXT)
    (choice,), count = complete_by(model, nano.tokenizer, prompt, Wanted(sampling=Sampling(stop=()), max_tokens=40))
    assert (choice.finish_reason, choice.text.strip(), count) == ("stop", "tea is hot", len(said))


def test_our_own_remote_engine_is_served(app, nano):
    prefix = nano.grammar.generate(Dialog((Turn("user", "how high is Mount Everest?"),))).tokens
    with serving(app) as running:
        remote = RemoteLanguageModel.connect(f"{running.url}/v1", nano.tokenizer)
        try:
            assert remote.abilities.many and remote.abilities.echo and remote.abilities.stops
            sampling = Sampling(max_tokens=12, stop=(int(Symbol.EOS), int(Symbol.TS)), banned=tuple(map(int, UNSPOKEN)))
            drawn = remote.sample(prefix, 4, sampling, 7)
            assert drawn == remote.sample(prefix, 4, sampling, 7)
            for candidate in drawn:
                assert all(token not in UNSPOKEN for token in candidate.tokens)
                end = (int(Symbol.EOS),) if candidate.finished else ()
                logprob = sum(nano.model.score(prefix, [candidate.tokens + end])[0])
                assert candidate.logprob == pytest.approx(logprob, abs=1e-3)
            replies = [candidate.tokens for candidate in drawn[:2]]
            continuations = [(int(Symbol.TS),), (int(Symbol.USER),), replies[0]]
            for ours, theirs in zip(
                nano.model.score(prefix, continuations), remote.score(prefix, continuations), strict=True
            ):
                assert theirs == pytest.approx(ours, abs=1e-3)
            asked = replies, [(int(Symbol.SENSIBLE),), (int(Symbol.UNSAFE),)], int(Symbol.YES), int(Symbol.NO)
            for ours, theirs in zip(nano.model.rate(prefix, *asked), remote.rate(prefix, *asked), strict=True):
                assert theirs == pytest.approx(ours, abs=1e-3)
            lamda = nano.over(remote)
            lamda.num_candidates = 2
            said = lamda.reply(Dialog((Turn("user", "what is 17 plus 5?"),)))
            assert "22" in said.text
        finally:
            remote.close()
