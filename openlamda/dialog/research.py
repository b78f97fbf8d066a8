"""The research loop (LaMDA, section 6.2): the model asks the toolset until it turns to the user."""

import logging

from openlamda.dialog.trace import Asked, Trace
from openlamda.engine.base import LanguageModel, Sampling
from openlamda.text.dialog import Dialog, Result
from openlamda.text.grammar import SPOKEN, Grammar, Step
from openlamda.text.tokenizer import Symbol, Tokenizer
from openlamda.tools.base import Toolset

MAX_SNIPPET = 600  # characters of a result that the model reads
QUERY = Sampling(
    temperature=0,
    max_tokens=40,
    stop=(Symbol.SNIPPET, Symbol.EOS),
    banned=tuple(symbol for symbol in SPOKEN if symbol is not Symbol.SNIPPET),
)


def research(
    model: LanguageModel,
    tokenizer: Tokenizer,
    toolset: Toolset,
    context: Dialog,
    draft: str,
    trace: Trace,
    max_queries: int = 4,
) -> tuple[list[Step], list[Result]]:
    """The steps taken and the results found, in the order in which `[k]` counts them.

    At most `max_queries` queries; then the reply is due, whatever the model would rather do.
    """
    grammar, cursor = Grammar(tokenizer.encode), toolset.turn()
    steps: list[Step] = []
    results: list[Result] = []
    while len(steps) < max_queries:
        prompt = grammar.research(context, draft, steps).tokens
        ((ask,), (answer,)) = model.score(prompt, [(Symbol.TS,), (Symbol.USER,)])
        if answer >= ask:
            break
        said = model.sample((*prompt, Symbol.TS), 1, QUERY, trace.seed)[0]
        query = tokenizer.decode(said.tokens).strip()
        if not query:
            break
        try:
            result, error = cursor.next(query), None
        except Exception as failure:  # a broken tool must not cost the reply; it is logged and shown in the trace
            logging.getLogger(__name__).warning("tool failed on %r", query, exc_info=True)
            result, error = None, f"{type(failure).__name__}: {failure}"
        trace.research.append(Asked(query, result, error))
        steps.append(Step(query, result.text[:MAX_SNIPPET] if result else None))
        if result is not None:
            results.append(result)
    return steps, results
