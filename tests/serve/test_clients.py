"""OpenAI's own client against the server, as its users write it: at once, in pieces, in a crowd."""

import asyncio

import openai
import pytest

ASK = [{"role": "user", "content": "how long is the river"}]
MODEL = "openlamda/lamda"


@pytest.fixture
def client(running):
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_completion(client):
    said = client.chat.completions.create(model=MODEL, messages=ASK, seed=3, n=2)
    assert [choice.index for choice in said.choices] == [0, 1] and said.usage.total_tokens > 0
    (annotation,) = said.choices[0].message.annotations
    assert annotation.url_citation.url == said.citations[0] == "https://example.org/river"
    assert client.models.retrieve(MODEL).id == MODEL in [model.id for model in client.models.list()]
    text = client.completions.create(model=MODEL, prompt="the river", max_tokens=3, seed=1)
    assert text.choices[0].text and text.usage.completion_tokens > 0


def test_pieces(client):
    whole = client.chat.completions.create(model=MODEL, messages=ASK, seed=3).choices[0].message.content
    stream = client.chat.completions.create(model=MODEL, messages=ASK, seed=3, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole
    with client.chat.completions.stream(model=MODEL, messages=ASK, seed=3) as helped:
        assert helped.get_final_completion().choices[0].message.content == whole
    stream = client.chat.completions.create(model=MODEL, messages=ASK, seed=3, stream=True)
    assert next(chunk.openlamda["stage"]["kind"] for chunk in stream if hasattr(chunk, "openlamda")) == "drafting"


def test_errors_have_their_classes(client):
    with pytest.raises(openai.NotFoundError, match="gpt-4"):
        client.chat.completions.create(model="gpt-4", messages=ASK)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=ASK, tools=[{"type": "function", "function": {}}])
    assert refused.value.code == "unsupported_parameter" and refused.value.param == "tools"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="olk_forged").models.list()


def test_a_crowd(running):
    async def ask(client, seed):
        stream = await client.chat.completions.create(model=MODEL, messages=ASK, seed=seed, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def crowd():
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, seed) for seed in range(30)))

    assert all(text.endswith("[1]") for text in asyncio.run(crowd()))
    store = running.app.state.parts.store
    assert len(store.conversations(store.nobody(), 100)) == 30
