"""The sequences: every task of the model is written here, once, for training and for serving alike.

    document   DOCUMENT text EOS
    spans      DOCUMENT text with sentinels for what was cut out, then each sentinel and its span, EOS
    dialog     USER_TURN text AGENT_TURN text ... EOS
    generate   context RESPONSE reply EOS
    judge      context [snippets] RESPONSE reply ATTRIBUTE [name] rating [kind]  UNSAFE wants NO, the others YES
    base       context BASE draft EOS
    research   context BASE draft TS query SNIPPET text SOURCE k ... USER reply EOS

where context is USER_TURN text AGENT_TURN text ..., snippets are SNIPPET text SOURCE k for k = 1, 2, ..., and a name is
text that says which part of an attribute is meant, as in "unsafe/gore" (LaMDA, sections 6.1 and 6.2). A kind is what
raters named beside their label, whether yes or no: nobody asks for it, but who learns which hazard a reply touches
upon also learns better whether it is one, as rating and kind are learned from the same reading. A method given
all its parts builds the training sequence; given fewer, it builds the prompt at whose end the model speaks, so a prompt
is always the beginning of what was trained. Only what the model itself says is learned: replies, drafts, queries,
ratings, and the choice between TS and USER; never a snippet.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openlamda.text.dialog import Dialog
from openlamda.text.tokenizer import Symbol

Tokens = tuple[int, ...]
Encode = Callable[[str], list[int]]

ATTRIBUTES = {
    "sensible": Symbol.SENSIBLE,
    "specific": Symbol.SPECIFIC,
    "interesting": Symbol.INTERESTING,
    "unsafe": Symbol.UNSAFE,
    "grounded": Symbol.GROUNDED,
}
TURNS = {"user": Symbol.USER_TURN, "agent": Symbol.AGENT_TURN}
UNSPOKEN = tuple(symbol for symbol in Symbol if symbol is not Symbol.EOS)
"""What may never be drawn inside spoken text: every control symbol but EOS, which ends it."""


@dataclass(frozen=True)
class Sequence:
    """Token ids, and for each whether the model learns to say it."""

    tokens: Tokens = ()
    learned: tuple[bool, ...] = ()

    def __add__(self, other: "Sequence") -> "Sequence":
        return Sequence(self.tokens + other.tokens, self.learned + other.learned)


@dataclass(frozen=True)
class Step:
    """One step of research: what was asked and the snippet that came back (None: nothing was found)."""

    query: str
    snippet: str | None


class Grammar:
    """The sequences over one tokenizer, given as its `encode` and the ids of its sentinels."""

    def __init__(self, encode: Encode, sentinels: Tokens = ()):
        self._encode = encode
        self.sentinels = sentinels

    def _read(self, *parts: Symbol | str) -> Sequence:
        ids: list[int] = []
        for part in parts:
            ids += [int(part)] if isinstance(part, Symbol) else self._encode(part)
        return Sequence(tuple(ids), (False,) * len(ids))

    def _say(self, *parts: Symbol | str) -> Sequence:
        read = self._read(*parts)
        return Sequence(read.tokens, (True,) * len(read.tokens))

    def document(self, text: str) -> Sequence:
        """A document; all of it is learned but its first symbol."""
        return self._read(Symbol.DOCUMENT) + self._say(text, Symbol.EOS)

    def spans(self, corrupted: Sequence) -> Sequence:
        """A document with spans cut out (text/objectives.py)."""
        return self._read(Symbol.DOCUMENT) + corrupted + self._say(Symbol.EOS)

    def dialog(self, dialog: Dialog) -> Sequence:
        """A whole dialog, learned like any text (pre-training)."""
        return self._say(*(part for turn in dialog.turns for part in (TURNS[turn.author], turn.text)), Symbol.EOS)

    def context(self, dialog: Dialog) -> Sequence:
        """A dialog that is only read."""
        return self._read(*(part for turn in dialog.turns for part in (TURNS[turn.author], turn.text)))

    def next_turn(self, context: Dialog) -> Sequence:
        """The prompt after which a model that was only pre-trained goes on with a dialog as the agent: PT's reply."""
        return self.context(context) + self._read(Symbol.AGENT_TURN)

    def _snippets(self, snippets: Iterable[str]) -> Sequence:
        numbered = enumerate(snippets, 1)
        return self._read(*(part for k, text in numbered for part in (Symbol.SNIPPET, text, Symbol.SOURCE, str(k))))

    def generate(self, context: Dialog, reply: str | None = None) -> Sequence:
        """Reply to a dialog."""
        prompt = self.context(context) + self._read(Symbol.RESPONSE)
        return prompt if reply is None else prompt + self._say(reply, Symbol.EOS)

    def judge(
        self,
        context: Dialog,
        reply: str | None = None,
        attribute: str = "sensible",
        rating: bool | None = None,
        snippets: Iterable[str] = (),
        kind: str = "",
    ) -> Sequence:
        """Rate `reply`. Without a reply: the prompt that judged replies share; GROUNDED also reads the snippets."""
        prompt = self.context(context) + self._snippets(snippets) + self._read(Symbol.RESPONSE)
        if reply is None:
            return prompt
        prompt += self._read(reply) + self.question(attribute)
        return prompt if rating is None else prompt + self._say(Symbol.YES if rating else Symbol.NO, kind)

    def reply(self, text: str) -> Tokens:
        """A reply's own tokens, without what ends it."""
        return tuple(self._encode(text))

    def question(self, attribute: str) -> Sequence:
        """What stands between a reply and its rating: the attribute's symbol and, of "unsafe/gore", "gore" as text."""
        name, _, part = attribute.partition("/")
        return self._read(ATTRIBUTES[name], *([part.replace("_", " ")] if part else []))

    def base(self, context: Dialog, draft: str | None = None) -> Sequence:
        """Draft a reply that research may correct."""
        prompt = self.context(context) + self._read(Symbol.BASE)
        return prompt if draft is None else prompt + self._say(draft, Symbol.EOS)

    def research(
        self, context: Dialog, draft: str, steps: Iterable[Step] = (), reply: str | None = None, *, answer: bool = False
    ) -> Sequence:
        """Look claims up, then reply. Without a reply: the prompt after `steps`, where TS or USER comes next;
        with `answer`, USER has been said already and the reply follows.
        """
        sequence = self.context(context) + self._read(Symbol.BASE, draft)
        found = 0
        for step in steps:
            sequence += self._say(Symbol.TS, step.query)
            sequence += self._say(Symbol.SNIPPET)  # ends the query, so the model says it
            found += step.snippet is not None
            text, number = (step.snippet, str(found)) if step.snippet is not None else ("", "0")
            sequence += self._read(text, Symbol.SOURCE, number)
        if reply is not None:
            return sequence + self._say(Symbol.USER, reply, Symbol.EOS)
        return sequence + self._read(Symbol.USER) if answer else sequence
