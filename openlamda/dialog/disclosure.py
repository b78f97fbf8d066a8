"""Whether an agent is asked what it is, a person or a machine, and the answer: always that it is a machine.

A rule and no model, so that no role, draft or instruction can talk it out of the truth. It wants a question about the
one who is spoken to, not one about machines.
"""

import re

_KIND = (
    r"(?:(?:human|living) beings?|humans?|persons?|people|man|woman|guy|girl|boy|lady|somebody|someone"
    r"|machines?|robots?|chat ?bots?|bots?|ai|artificial intelligence|computers?|(?:computer )?programs?|software"
    r"|algorithms?|(?:large )?language models?|llms?|gpt|chat ?gpt|ai (?:model|system|assistant|chat ?bot|bot|program)"
    r"|automated(?: system| service)?|(?:automatic|artificial|bot|chat ?bot) (?:system|service)|virtual assistant"
    r"|answering machine|(?:made of |of )?flesh and blood|real|alive|sentient)"
)
_SOFTLY = (
    r"(?:(?:really|actually|just|even|truly|perhaps|maybe|secretly|only|honestly|still|by any chance|in fact|possibly"
    r"|currently|now|also|not|talking|speaking|like) )*"
)
_ONE = (
    r"(?:(?:a|an|the|some|another|any|one of those|some kind of|some sort of|a kind of) )?"
    r"(?:(?:real|actual|live|living|true|genuine|digital|virtual|artificial|automated|intelligent|computer|real life"
    r"|real live|normal|fellow|bloody|damn) )*"
)
_WHAT = rf"{_SOFTLY}{_ONE}{_KIND}"
_END = (
    r"(?= ?(?:$|[?.!,;:]|(?:or|and|then|too|at all|by the way|btw|here|there|in there|right|please|though|tho|like me"
    r"|like us|that|who|which|behind|on the other|talking|typing|writing|answering|replying|responding|pretending"
    r"|not|instead|rather|as well|after all|underneath|really|actually|now|today|lol|haha|bro|dude|man|mate)\b))"
)
_YOU = r"(?:you|u|ya|thou)"
_ARE = r"(?:are|r|art|were|aren't|arent|ain't)"
_YOU_ARE = rf"(?:{_YOU} (?:are|r|might be|may be|could be)|you're|youre|ur|u're)"
_TALK = r"(?:talk|speak|chat|writ|text|messag|convers|deal|interact|communicat|correspond)(?:ing|e)?"
_QUESTIONS = (
    rf"\b{_ARE} {_YOU} {_WHAT}{_END}",
    rf"\b(?:is|was) (?:this|that you|u|you) {_WHAT}{_END}",
    rf"\b(?:am|was|do|did|can|could|may|have) i (?:been )?{_SOFTLY}{_TALK} (?:to|with) {_WHAT}{_END}",
    rf"\b(?:to|with) whom? am i {_TALK} ?.{{0,20}}{_KIND}{_END}",
    rf"\b(?:who|what) am i {_TALK} (?:to|with) ?[,:;?]? ?{_WHAT}{_END}",
    rf"\bis there (?:really |actually )?{_ONE}{_KIND} (?:behind|on the other|at the other|there\b|here\b|reading|typing"
    r"|writing|answering|replying|in there|who (?:reads|writes|answers))",
    rf"\b(?:is|are) {_ONE}{_KIND} (?:answering|talking|writing|typing|replying|speaking|responding|chatting|reading)"
    r" ?(?:to|with)? ?(?:me|this|these|my)\b",
    r"\b(?:was|is|are|were|did|does) (?:this|that|these|it|your (?:reply|replies|answers?|messages?|words))"
    rf" (?:\w+ ){{0,2}}(?:written|typed|generated|made|produced|composed|sent|answered) by {_WHAT}{_END}",
    rf"\bdid {_ONE}{_KIND} (?:write|type|say|generate|answer) (?:this|that|these|it)\b",
    rf"\b(?:if|whether|prove|prove to me|admit|admit it|confess|swear|promise)(?: that|,)? (?:{_YOU_ARE}|this is"
    rf"|i am {_TALK} (?:to|with)|i'm {_TALK} (?:to|with)) {_WHAT}{_END}",
    rf"^(?:(?:so|and|well|ok|okay|hey|wait|hi|hello|but|hm|hmm|please|are you|you|u)[, ]*)*{_ONE}{_KIND}"
    rf" or {_WHAT} ?\??$",
    # a statement that wants to be confirmed
    rf"\b{_YOU_ARE} {_WHAT} ?,? ?(?:right|correct|yes|no|or not|or what|{_ARE} {_YOU}(?: not)?|isn't it|innit|eh|huh)"
    r" ?\?*$",
    rf"\b{_YOU_ARE} {_WHAT} ?\?",
    rf"^(?:(?:so|and|well|ok|okay|hey|wait|but|hm|hmm)[, ]*)*{_YOU} {_WHAT} ?\?",
    # German, French, Spanish
    r"\b(?:bist du|sind sie|seid ihr) (?:\w+ ){0,2}?(?:ein |eine )?(?:echter |echte |richtiger |lebender )?(?:mensch"
    r"|maschine|roboter|bot|chatbot|ki|computer|programm|person|künstliche intelligenz)\b",
    r"\b(?:spreche|rede|schreibe|chatte) ich (?:\w+ ){0,2}?mit (?:einem |einer )?(?:echten |richtigen )?(?:menschen?"
    r"|maschine|roboter|bot|chatbot|ki|computer|programm|person)\b",
    r"\b(?:es tu|tu es|êtes vous|vous êtes|est ce que (?:tu es|vous êtes)) (?:\w+ )?(?:un |une )?(?:vraie? )?(?:"
    r"humaine?|être humain|robot|bot|chatbot|machine|ia|ordinateur|programme|personne|intelligence artificielle)\b",
    r"\b(?:eres|es usted|sois) (?:\w+ )?(?:un |una )?(?:humano|humana|ser humano|persona|robot|bot|chatbot|máquina|ia"
    r"|ordenador|computadora|programa|inteligencia artificial)\b",
)
_ASKED = re.compile("|".join(_QUESTIONS))
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")
MOST = 2000  # characters of a turn that are looked at, from its end: questions stand there, and time is bounded


def asks(text: str) -> bool:
    """Whether someone asks in `text` if the one they talk to is a machine or a person."""
    plain = text[-MOST:].casefold().replace("’", "'").replace("a.i.", "ai").replace("¿", "").replace("-", " ")
    sentences = (re.sub(r"[^\w'?.,!;:]+", " ", sentence).strip() for sentence in _SENTENCE.findall(plain))
    return any(_ASKED.search(sentence) for sentence in sentences)


def answer(name: str = "") -> str:
    """What is said then, by an agent of that name, or of any."""
    what = f"{name} is a computer program" if name else "a computer program"
    return f"I am a machine: {what} that writes replies with a language model. I am not a person."
