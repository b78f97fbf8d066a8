"""Clients that others wrote, unchanged, over the model that ships; each runs where it is installed.

pip install 'lm-eval[api]==0.4.13' litellm
"""

import json

import pytest

from openlamda.loading import load
from openlamda.serve.agents import Agents
from openlamda.serve.app import create_app
from openlamda.serve.settings import Settings
from openlamda.store.opening import open_store
from tests.serve.conftest import serving

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # theirs are not ours to mend
MODEL = "openlamda/lamda"
FACTS = (
    {"q": "The height of Mount Everest is", "choices": [" 8,849 metres", " a blue river", " tea"], "answer": 0},
    {"q": "The capital of France is", "choices": [" Paris", " the of and", " 12"], "answer": 0},
    {"q": "A cup of", "choices": [" mountain", " tea"], "answer": 1},
)
CHOOSE = """
task: facts_choose
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
metric_list: [{metric: acc}]
"""
GENERATE = """
task: facts_generate
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8}
metric_list: [{metric: exact_match}]
"""


@pytest.fixture(scope="module")
def nano():
    with pytest.MonkeyPatch.context() as patch:  # float32 on every CPU, so that two ways to read a prompt agree
        patch.setattr("openlamda.model.weights.multiplies_bfloat16", lambda: False)
        return load()


@pytest.fixture(scope="module")
def url(nano, tmp_path_factory):
    store = open_store(str(tmp_path_factory.mktemp("store") / "store.db"))
    with serving(create_app(Settings(), Agents(lambda: nano, "nano"), store)) as served:
        yield f"{served.url}/v1"
    store.close()


def test_the_harness_measures_what_the_engine_says(url, nano, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lm_eval, tasks = pytest.importorskip("lm_eval"), pytest.importorskip("lm_eval.tasks")
    facts = tmp_path / "facts.jsonl"
    facts.write_text("".join(json.dumps(fact) + "\n" for fact in FACTS))
    for name, task in (("choose", CHOOSE), ("generate", GENERATE)):
        (tmp_path / f"{name}.yaml").write_text(task.replace("FILE", str(facts)))
    arguments = {"model": MODEL, "base_url": f"{url}/completions", "tokenizer_backend": "remote"}
    found = lm_eval.simple_evaluate(
        model="local-completions",
        model_args=arguments,
        tasks=["facts_choose", "facts_generate"],
        task_manager=tasks.TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
    )
    said = found["samples"]["facts_generate"]
    assert len(said) == len(FACTS) and all(sample["resps"][0][0] for sample in said)
    for sample, fact in zip(found["samples"]["facts_choose"], FACTS, strict=True):
        read = [tuple(nano.tokenizer.encode(fact["q"] + choice)) for choice in fact["choices"]]
        known = len(nano.tokenizer.encode(fact["q"])) - 1  # it sends ids, of which the first has no logprob
        scored = nano.model.score(read[0][:1], [tokens[1:] for tokens in read])
        told = [float(answer[0][0]) for answer in sample["resps"]]
        assert told == pytest.approx([sum(logprobs[known:]) for logprobs in scored], abs=1e-3)


def test_litellm_at_once_and_in_pieces(url, monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the web for prices
    litellm = pytest.importorskip("litellm")
    asked = {
        "model": f"openai/{MODEL}",
        "api_base": url,
        "api_key": "none",
        "messages": [{"role": "user", "content": "what is 17 plus 5?"}],
        "seed": 1,
    }
    whole = litellm.completion(**asked)
    text = whole.choices[0].message.content
    assert "22" in text and whole.usage.total_tokens > 0
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked, stream=True)]
    assert len(pieces) > 1 and "".join(pieces) == text
