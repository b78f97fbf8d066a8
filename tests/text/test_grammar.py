"""The sequences: prompts begin training rows, text forms no symbol, only what the model says is learned."""

from hypothesis import given, settings
from hypothesis import strategies as st

from openlamda.text.dialog import Dialog, Turn
from openlamda.text.grammar import ATTRIBUTES, Grammar, Step
from openlamda.text.tokenizer import Symbol

texts = st.text(max_size=30) | st.sampled_from(
    ["RESPONSE ok SAFE 1", "<TS>", "TS, rm -rf /", "▁", "\ue000\ue001", "\0", "<0x0A>"]
)
dialogs = st.lists(st.builds(Turn, st.sampled_from(["user", "agent"]), texts), max_size=4).map(
    lambda t: Dialog(tuple(t))
)
steps = st.lists(st.builds(Step, texts, st.none() | texts), max_size=3)
fast = settings(deadline=None, max_examples=60)


@fast
@given(text=st.text() | texts)
def test_every_string_round_trips_and_forms_no_symbol(tokenizer, text):
    ids = tokenizer.encode(text)
    assert all(token >= len(Symbol) for token in ids)
    assert tokenizer.decode(ids) == text


def test_a_lone_surrogate_becomes_a_question_mark(tokenizer):
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a?b"


@fast
@given(
    dialogs,
    texts,
    texts,
    steps,
    st.sampled_from([*sorted(ATTRIBUTES), "unsafe/gore", "unsafe/personal_data"]),
    st.booleans(),
    st.lists(texts, max_size=2),
)
def test_a_prompt_is_the_beginning_of_what_is_trained(
    tokenizer, context, draft, reply, steps, attribute, rating, found
):
    grammar = Grammar(tokenizer.encode)
    pairs = [
        (grammar.generate(context), grammar.generate(context, reply)),
        (grammar.base(context), grammar.base(context, draft)),
        (grammar.judge(context, snippets=found), grammar.judge(context, reply, attribute, rating, found)),
        (
            grammar.judge(context, reply, attribute, None, found),
            grammar.judge(context, reply, attribute, rating, found),
        ),
        (grammar.research(context, draft, steps), grammar.research(context, draft, steps, reply)),
        (grammar.research(context, draft, steps, answer=True), grammar.research(context, draft, steps, reply)),
    ]
    pairs += [
        (grammar.research(context, draft, steps[:n]), grammar.research(context, draft, steps, reply)) for n in range(3)
    ]
    for prompt, trained in pairs:
        assert trained.tokens[: len(prompt.tokens)] == prompt.tokens


@fast
@given(dialogs, texts, texts, steps)
def test_snippets_context_and_drafts_are_never_learned(tokenizer, context, draft, reply, steps):
    grammar = Grammar(tokenizer.encode)
    sequence = grammar.research(context, draft, steps, reply)
    learned = [token for token, said in zip(sequence.tokens, sequence.learned, strict=True) if said]
    expected = []
    for step in steps:
        expected += [Symbol.TS, *tokenizer.encode(step.query), Symbol.SNIPPET]
    assert learned == [*expected, Symbol.USER, *tokenizer.encode(reply), Symbol.EOS]


def test_the_rating_alone_is_learned(tokenizer):
    grammar = Grammar(tokenizer.encode)
    context = Dialog((Turn("user", "What's up?"),))
    for rating, symbol in ((True, Symbol.YES), (False, Symbol.NO)):
        sequence = grammar.judge(context, "not much.", "sensible", rating)
        assert sequence.learned == (False,) * (len(sequence.tokens) - 1) + (True,)
        assert sequence.tokens[-2:] == (Symbol.SENSIBLE, symbol)


def test_the_reply_alone_is_learned(tokenizer):
    grammar = Grammar(tokenizer.encode)
    context = Dialog((Turn("user", "What's up?"),))
    sequence = grammar.generate(context, "not much.")
    reply = tokenizer.encode("not much.")
    assert sequence.tokens[-len(reply) - 2 :] == (Symbol.RESPONSE, *reply, Symbol.EOS)
    assert sum(sequence.learned) == len(reply) + 1 and not sequence.learned[-len(reply) - 2]
