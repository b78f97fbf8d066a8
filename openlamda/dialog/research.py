"""The research loop (LaMDA, section 6.2): the model asks the toolset until it turns to the user."""

import re
from dataclasses import replace

from openlamda.dialog import telling
from openlamda.dialog.telling import Tell
from openlamda.dialog.trace import Asked, Trace
from openlamda.engine.base import LanguageModel, Sampling
from openlamda.text.dialog import Dialog, Result
from openlamda.text.grammar import UNSPOKEN, Grammar, Step
from openlamda.text.tokenizer import Symbol, Tokenizer
from openlamda.tools.base import Toolset
from openlamda.tools.calculator import Calculator

MAX_SNIPPET = 160  # tokens of a result that the model reads
_SIGNS = re.compile(r"(?=.*\d)(?:[\d\s.,+*/^%()-]|\b(?:of|sqrt)\b)+")
QUERY = Sampling(
    temperature=0,
    max_tokens=48,
    stop=(Symbol.SNIPPET, Symbol.EOS),
    banned=tuple(symbol for symbol in UNSPOKEN if symbol is not Symbol.SNIPPET),
)


def research(
    model: LanguageModel,
    tokenizer: Tokenizer,
    toolset: Toolset,
    context: Dialog,
    draft: str,
    trace: Trace,
    max_queries: int = 4,
    tell: Tell = telling.nobody,
) -> tuple[list[Step], list[Result]]:
    """The steps taken and the passages that the model was shown, in the order in which `[k]` counts them.

    At most `max_queries` queries; then the reply is due, whatever the model would rather do.
    """
    grammar, cursor = Grammar(tokenizer.encode), toolset.turn()
    sampling = replace(QUERY, banned=(*QUERY.banned, *tokenizer.sentinels))
    steps: list[Step] = []
    results: list[Result] = []
    while len(steps) < max_queries:
        prompt = grammar.research(context, draft, steps).tokens
        ((ask,), (answer,)) = model.score(prompt, [(Symbol.TS,), (Symbol.USER,)])
        if answer >= ask:
            break
        said = model.sample((*prompt, Symbol.TS), 1, sampling, trace.seed)[0]
        query = tokenizer.decode(said.tokens).strip()
        if not query:
            break
        query = as_asked(query, context, toolset) if not steps else query
        tell(telling.looking_up(query))
        result = cursor.next(query)
        tell(telling.found(int(result is not None)))
        if result is not None:
            result = replace(result, text=shortened(result.text, tokenizer))
            results.append(result)
        trace.research.append(Asked(query, result, cursor.last.failure))
        trace.calls += cursor.last.calls
        steps.append(Step(query, result.text if result else None))
    return steps, results


def as_asked(query: str, context: Dialog, toolset: Toolset) -> str:
    """The user's own words in place of a query that is a sum in signs, where the calculator reads them as they stand: a
    small model slips on a digit now and then, or puts minus for plus.
    """
    asked = context.turns[-1].text
    return asked if _SIGNS.fullmatch(query) and toolset.ask_one(Calculator.name, asked).results else query


def shortened(text: str, tokenizer: Tokenizer) -> str:
    """The beginning of a snippet, at most MAX_SNIPPET tokens: what attention costs is counted in tokens."""
    text = text[: 8 * MAX_SNIPPET]
    tokens = tokenizer.encode(text)
    return text if len(tokens) <= MAX_SNIPPET else tokenizer.decode(tokens[:MAX_SNIPPET]).rstrip("\ufffd")
