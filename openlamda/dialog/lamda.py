"""A reply, from dialog to answer: draft, judge, research, judge again, cite. Read `Lamda.reply` top to bottom.

Takes an engine, a tokenizer, a toolset and a role; gives `Reply`. Knows nothing of arrays, files or HTTP.
"""

import time
from collections.abc import Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace

from openlamda.dialog import citations, disclosure, judge, rank, telling
from openlamda.dialog.research import research
from openlamda.dialog.roles import Role, pin
from openlamda.dialog.support import claims
from openlamda.dialog.telling import Tell
from openlamda.dialog.trace import Considered, Trace
from openlamda.engine.base import BLENDERBOT, Candidate, LanguageModel, Sampling, Tokens
from openlamda.errors import UserError
from openlamda.text.dialog import Dialog, Result, Source
from openlamda.text.grammar import UNSPOKEN, Grammar
from openlamda.text.tokenizer import Symbol, Tokenizer
from openlamda.tools.base import Toolset


@dataclass(frozen=True)
class Reply:
    """What is said, what it rests on, and how it was chosen."""

    text: str
    sources: tuple[Source, ...]
    finish_reason: str  # "stop", "length" (the text was cut) or "safe_reply" (no candidate survived)
    verified: bool  # no claim fails: what is stated stands in a cited passage, or was computed, or said by the user
    trace: Trace


class Lamda:
    """An agent: one model that drafts, judges and looks things up."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        toolset: Toolset,
        *,
        judges: judge.Judges | None = None,
        role: Role | None = None,
        num_candidates: int = 16,
        max_queries: int = 4,
        window: int = 160,
        max_tokens: int = 64,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.judges = judges or judge.Judges()
        self._toolset, self.max_queries = toolset, max_queries
        self._take(role or Role())
        self.num_candidates = num_candidates
        self.window = window  # tokens of context: role and dialog
        self.grammar = Grammar(tokenizer.encode)
        self._prompt = self.grammar.generate
        self.draft_sampling = Sampling(max_tokens=max_tokens, banned=(*UNSPOKEN, *tokenizer.sentinels))
        # what was looked up is to be repeated exactly, so the final candidates are drawn closer to the likeliest
        self.final_sampling = replace(self.draft_sampling, temperature=0.5)

    def as_pretrained(self, *, filtered: bool = False) -> None:
        """Reply from now on as PT, the paper's baseline: go on with the dialog and take the draft that is likeliest for
        its length; judge nothing, look nothing up (LaMDA, section 3). `filtered`: but drop what is unsafe.
        """
        self.judges = self.judges.of_safety() if filtered else judge.Judges()
        self.max_queries, self._prompt = 0, self.grammar.next_turn
        banned = tuple(token for token in self.draft_sampling.banned if token != Symbol.USER_TURN)
        self.draft_sampling = replace(self.draft_sampling, stop=(Symbol.EOS, Symbol.USER_TURN), banned=banned)

    def search_with_beams(self) -> None:
        """Decode from now on as BlenderBot does: one candidate, the best that a beam search finds."""
        self.num_candidates = 1
        self.draft_sampling = replace(self.draft_sampling, **BLENDERBOT)
        # what was looked up stands in the prefix, is to be repeated, and may be short
        self.final_sampling = replace(self.final_sampling, **BLENDERBOT | {"min_tokens": 0, "context_block_ngram": 0})

    def reply(self, dialog: Dialog, *, seed: int = 0, tell: Tell = telling.nobody) -> Reply:
        """The best safe candidate with its sources. The same dialog, seed and tools give the same reply.

        `tell` is called at each stage (dialog/telling.py). Asked whether it is a machine, the agent says that it is,
        whatever its role. Raises UserError where the dialog does not end with something that a user said.
        """
        return self.replies(dialog, 1, seed=seed, tell=tell)[0]

    def replies(self, dialog: Dialog, count: int, *, seed: int = 0, tell: Tell = telling.nobody) -> list[Reply]:
        """As `reply`, the `count` best safe candidates that differ, the best first, and fewer where there are fewer."""
        if not dialog.turns or dialog.turns[-1].author != "user":
            raise UserError("dialog: the last turn is not the user's, expected a user turn to reply to")
        if not dialog.turns[-1].text.strip():
            raise UserError("dialog: the last turn is empty, expected some text")
        trace = Trace(seed)
        if disclosure.asks(dialog.turns[-1].text):
            trace.rule = "disclosure"
            return [Reply(disclosure.answer(self.role.name), (), "stop", True, trace)]
        context = self.fit(citations.without_marks(dialog))

        tell(telling.drafting(self.num_candidates))
        drafts = self._choose("draft", context, self._prompt(context).tokens, trace)
        tell(telling.judged(trace.rounds["draft"]))
        if not drafts:
            return [Reply(self.role.safe_reply, (), "safe_reply", True, trace)]
        draft = drafts[0]
        with _timed(trace, "research"):
            steps, results = research(
                self.model, self.tokenizer, self.toolset, context, draft.text, trace, self.max_queries, tell
            )
        finals = drafts
        if steps:
            tell(telling.answering(self.num_candidates))
            prompt = self.grammar.research(context, draft.text, steps, answer=True).tokens
            finals = self._choose("final", context, prompt, trace, results)
            tell(telling.judged(trace.rounds["final"]))
        if not finals:
            return [Reply(self.role.safe_reply, (), "safe_reply", True, trace)]
        return [
            self._said(chosen, context, results, trace if chosen is finals[0] else trace.had_it_chosen(chosen.place))
            for chosen in finals[:count]
        ]

    def _said(self, chosen: "_Chosen", context: Dialog, results: Sequence[Result], trace: Trace) -> Reply:
        text = citations.cite(chosen.text, results)
        trace.claims = claims(text, results, self._given(context))
        sources = citations.sources(text, results, trace.claims)
        reason = "stop" if chosen.finished else "length"
        return Reply(text, sources, reason, not any(claim.failed for claim in trace.claims), trace)

    def over(self, model: LanguageModel) -> "Lamda":
        """The same agent over another engine, or over this one within a request's limits."""
        other = copy(self)
        other.model = model
        return other

    def playing(self, role: Role) -> "Lamda":
        """The same agent in another role. Raises UserError for tools or thresholds of its that are not there."""
        other = copy(self)
        other._take(role)
        return other

    def _take(self, role: Role) -> None:
        names = [tool.name for tool in self._toolset.tools]
        for name in role.tools or ():
            if name not in names:
                raise UserError(f"role {role.name!r}: tool {name!r}, expected some of {', '.join(names) or 'none'}")
        known = [judge.score_name(attribute) for attribute in self.judges.attributes]
        for name in role.thresholds:
            if known and name not in known:
                raise UserError(f"role {role.name!r}: threshold {name!r}, expected one of {', '.join(known)}")
        self.role = role
        self.toolset = self._toolset if role.tools is None else self._toolset.only(role.tools)

    def fit(self, dialog: Dialog) -> Dialog:
        """The role and as much of the dialog's end as the model's window takes."""
        return pin(self.role, dialog, lambda d: len(self.grammar.context(d).tokens), self.window)

    def fit_role(self) -> None:
        """Raises UserError where the role leaves a dialog too little room."""
        self.fit(Dialog())

    def _given(self, context: Dialog) -> list[str]:
        """What a reply may repeat without a source. The agent's own earlier words are none: they may be wrong."""
        return [*(turn.text for turn in self.role.preface), context.turns[-1].text]

    def _choose(
        self, name: str, context: Dialog, prompt: Tokens, trace: Trace, results: Sequence[Result] | None = None
    ) -> list["_Chosen"]:
        """Draw candidates, judge them, drop what may not be said; of those left each text once, the best first."""
        sampling = self.draft_sampling if results is None else self.final_sampling
        with _timed(trace, f"{name}: sample"):
            drawn = self.model.sample(prompt, self.num_candidates, sampling, trace.seed * 2 + (name == "final"))
        texts = [self.tokenizer.decode(candidate.tokens).strip() for candidate in drawn]
        with _timed(trace, f"{name}: judge"):
            judged = self._judge(context, drawn, [result.text for result in results or ()])
        considered = [
            Considered(text, candidate.logprob, scores)
            for text, candidate, scores in zip(texts, drawn, judged, strict=True)
        ]
        trace.rounds[name] = considered
        wanted = self.role.wanted
        thresholds = self.judges.thresholds | wanted
        for candidate in considered:
            if not citations.cite(candidate.text, ()):
                candidate.dropped = "empty"
            elif not rank.is_safe(candidate.scores, thresholds):
                candidate.dropped = "unsafe"
            elif lacking := rank.lacking(candidate.scores, wanted):
                candidate.dropped = f"not {lacking} enough"
        left = [i for i, candidate in enumerate(considered) if candidate.dropped is None]
        if not left:
            return []
        if results is not None:
            failed = {text: self._failed(text, results, context) for text in {texts[i] for i in left}}
            supported = [i for i in left if not failed[texts[i]]]
            for i in set(left) - set(supported) if supported else ():  # else one is said, and marked unverified
                considered[i].dropped = failed[texts[i]]
            left = supported or left

        def worth(i: int) -> float:
            if any(name in self.judges.attributes for name in rank.WEIGHTS):
                return rank.quality(considered[i].scores)
            return rank.likelihood(drawn[i].logprob, len(drawn[i].tokens) + drawn[i].finished)

        left.sort(key=worth, reverse=True)  # of equals the first stays the first
        considered[left[0]].chosen = True
        once = {text: i for i in reversed(left) if (text := texts[i])}
        return [_Chosen(texts[i], drawn[i].finished, i) for i in left if once[texts[i]] == i]

    def _failed(self, text: str, results: Sequence[Result], context: Dialog) -> str | None:
        """What a candidate states without support, in one line."""
        found = claims(citations.cite(text, results), results, self._given(context))
        failed = [f"{claim.verdict}: {', '.join(claim.missing)}" for claim in found if claim.failed]
        return "; ".join(failed) or None

    def _judge(self, context: Dialog, drawn: Sequence[Candidate], snippets: Sequence[str]) -> list[dict[str, float]]:
        if not self.judges.attributes:
            return [{} for _ in drawn]
        once = list(dict.fromkeys(candidate.tokens for candidate in drawn))
        found = judge.scores(self.model, self.grammar, self.judges, context, once, snippets)
        by_tokens = dict(zip(once, found, strict=True))
        return [dict(by_tokens[candidate.tokens]) for candidate in drawn]


@dataclass(frozen=True)
class _Chosen:
    text: str
    finished: bool
    place: int  # among the candidates of its round


@contextmanager
def _timed(trace: Trace, name: str):
    began = time.perf_counter()
    yield
    trace.timings[name] = time.perf_counter() - began
