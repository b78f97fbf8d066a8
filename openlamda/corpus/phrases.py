"""Wordings for made rows: how people ask for attributes, sums and translations, and how replies put them.

{e} entity, {a} attribute, {v} value, {k} citation mark, {a} {b} {c} numbers, {w} word, {l} language, {q} query.
An attribute's values are of a kind (person, place, year, number, word, name), a unit, or one of the words given.
"""

PLACES = ["where is {e}", "which country is {e} in", "what country is {e} in", "in what country can i find {e}"]
BIRTH = ["when was {e} born", "what year was {e} born", "in which year was {e} born", "{e} was born when"]
MAKERS = [
    "who invented {e}",
    "who came up with {e}",
    "who made {e}",
    "who was the inventor of {e}",
    "{e}: who invented it",
]
WRITERS = ["who wrote {e}", "who is the author of {e}", "{e} was written by whom", "who penned {e}"]
WHEN = ["when was {e}", "what year was {e}", "in what year did {e} happen", "when did {e} take place"]

ATTRIBUTES: dict[str, tuple[str, list[str]]] = {
    "capital": (
        "place",
        ["what city is the capital of {e}", "which city is capital of {e}", "name the capital of {e}"],
    ),
    "continent": (
        "Africa|Asia|Europe|North America|South America|Oceania",
        ["which continent is {e} on", "what continent does {e} belong to", "where in the world is {e}"],
    ),
    "currency": (
        "word",
        ["what money do they use in {e}", "what do people pay with in {e}", "which currency does {e} use"],
    ),
    "official language": (
        "English|French|Arabic|Spanish|Portuguese|Swahili|German|Malay|Hindi|Russian",
        ["what language do they speak in {e}", "which language is spoken in {e}", "what do people speak in {e}"],
    ),
    "highest point": ("name", ["what is the highest place in {e}", "which mountain is the highest in {e}"]),
    "height": (
        "metres",
        [
            "how high is {e}",
            "how tall is {e}",
            "what is the elevation of {e}",
            "how many metres high is {e}",
            "how far up does {e} go",
            "how high does {e} rise",
        ],
    ),
    "country": ("place", PLACES),
    "location": ("place", ["where is {e}", "where can i find {e}", "where does {e} lie", "where is {e} located"]),
    "mountain range": ("name", ["which range does {e} belong to", "what mountains is {e} part of"]),
    "first ascent": (
        "year",
        [
            "when was {e} first climbed",
            "what year was {e} climbed for the first time",
            "when did people first climb {e}",
        ],
    ),
    "length": ("km", ["how long is {e}", "how many km long is {e}", "how far does {e} run", "how long does {e} flow"]),
    "mouth": ("name", ["where does {e} end", "which sea does {e} flow into", "where does {e} flow to"]),
    "area": (
        "square km",
        ["how big is {e}", "how large is {e}", "what area does {e} cover", "how much land does {e} have"],
    ),
    "depth": ("metres", ["how deep is {e}", "how deep does {e} go", "how far down does {e} go"]),
    "river": ("name", ["which river runs through {e}", "what river is {e} on", "on which river is {e}"]),
    "symbol": (
        "Ab|Cx|Zn|Qr|Mt|Vo|H|K|Lu|Ti",
        ["what is the chemical symbol of {e}", "how do you write {e} in chemistry"],
    ),
    "atomic number": ("number", ["how many protons does {e} have", "what number is {e} in the periodic table"]),
    "discoverer": ("person", ["who discovered {e}", "who found {e}", "who was the first to find {e}"]),
    "year of discovery": ("year", ["when was {e} discovered", "what year was {e} found", "when did they discover {e}"]),
    "year of birth": ("year", BIRTH),
    "year of death": ("year", ["when did {e} die", "what year did {e} die", "in which year did {e} pass away"]),
    "birthplace": ("place", ["where was {e} born", "where does {e} come from", "what town was {e} born in"]),
    "nationality": ("word", ["what nationality was {e}", "which nationality did {e} have"]),
    "profession": (
        "painter|composer|writer|explorer|king|chemist|footballer|poet",
        ["what did {e} do for a living", "what was {e}'s job", "what kind of work did {e} do"],
    ),
    "known for": ("word", ["what is {e} known for", "why is {e} famous", "what made {e} famous"]),
    "inventor": ("person", MAKERS),
    "year of invention": (
        "year",
        ["when was {e} invented", "what year was {e} invented", "how old is the invention of {e}"],
    ),
    "author": ("person", WRITERS),
    "year of publication": ("year", ["when was {e} published", "when did {e} come out", "what year was {e} published"]),
    "genre": ("word", ["what genre is {e}", "what kind of book is {e}", "what type of story is {e}"]),
    "original language": ("English|French|German|Russian|Spanish|Latin", ["what language was {e} written in"]),
    "painter": ("person", ["who painted {e}", "who is the painter of {e}", "which artist painted {e}"]),
    "year of completion": ("year", ["when was {e} finished", "when was {e} built", "what year was {e} completed"]),
    "museum": ("name", ["where does {e} hang", "which museum has {e}", "where can i see {e}", "where is {e} kept"]),
    "composer": ("person", ["who composed {e}", "who wrote the music of {e}", "which composer wrote {e}"]),
    "year of premiere": (
        "year",
        ["when was {e} first performed", "when did {e} premiere", "when was {e} first staged"],
    ),
    "director": ("person", ["who directed {e}", "who made the film {e}", "whose film is {e}"]),
    "year of release": ("year", ["when was {e} released", "when did {e} come out", "what year is {e} from"]),
    "architect": ("person", ["who designed {e}", "who was the architect of {e}", "who built {e}"]),
    "city": ("place", ["which city is {e} in", "what city has {e}", "in which town is {e}"]),
    "year": ("year", WHEN),
    "winner": ("name", ["who won {e}", "which side won {e}", "who was victorious at {e}"]),
    "place": ("place", ["where was {e} fought", "where did {e} take place", "where did {e} happen"]),
    "language family": ("word", ["which family does {e} belong to", "what family of languages is {e} in"]),
    "writing system": ("word", ["which alphabet does {e} use", "how is {e} written"]),
    "founder": ("person", ["who founded {e}", "who started {e}", "who set up {e}"]),
    "founding year": ("year", ["when was {e} founded", "when did {e} start", "what year was {e} established"]),
    "headquarters": (
        "place",
        ["where is {e} based", "where does {e} have its main office", "which city is {e} based in"],
    ),
    "country of origin": ("place", ["where does {e} come from", "which country does {e} come from"]),
    "main ingredient": ("word", ["what is {e} made of", "what is mainly in {e}", "what goes into {e}"]),
    "type": ("word", ["what kind of thing is {e}", "what sort of thing is {e}"]),
    "diameter": ("km", ["how wide is {e}", "how big across is {e}", "how many km across is {e}"]),
    "number of moons": ("number", ["how many moons does {e} have", "how many moons go around {e}"]),
    "orbital period": ("days", ["how long is a year on {e}", "how long does {e} take to go around once"]),
    "launch year": ("year", ["when was {e} launched", "what year did {e} lift off", "when did {e} take off"]),
    "agency": ("word", ["which agency flew {e}", "who launched {e}", "who ran {e}"]),
    "destination": ("name", ["where did {e} go", "where did {e} fly to", "what was {e} sent to"]),
    "class": (
        "mammal|bird|reptile|fish|amphibian|insect",
        ["what kind of animal is {e}", "which class does {e} belong to"],
    ),
    "diet": ("word", ["what does {e} eat", "what do {e} feed on", "what does {e} live on"]),
    "lifespan": ("years", ["how long does {e} live", "how old can {e} get", "how many years does {e} live"]),
    "top speed": ("km/h", ["how fast is {e}", "how fast can {e} run", "how quick is {e}"]),
    "gestation": ("days", ["how long is {e} pregnant", "how long does {e} carry its young"]),
    "state capital": ("place", []),
    "year of admission": ("year", ["when did {e} join the union", "when did {e} become a state"]),
    "largest city": ("place", ["what is the biggest city in {e}", "which city is the largest of {e}"]),
    "nickname": ("name", ["what do people call {e}", "what is {e} also called", "how is {e} nicknamed"]),
}

GENERIC_QUESTIONS = [
    "what is the {a} of {e}", "what's the {a} of {e}", "{e}'s {a}", "what is {e}'s {a}", "{a} of {e}", "{e} {a}",
    "tell me the {a} of {e}", "do you know the {a} of {e}", "i need the {a} of {e}", "look up the {a} of {e}",
    "can you find the {a} of {e}", "i would like to know the {a} of {e}", "about {e}: what is the {a}",
    "what {a} does {e} have", "which {a} does {e} have", "give me {e}'s {a}", "what was the {a} of {e}",
]  # fmt: skip
FOLLOW_UPS = ["and its {a}", "what about the {a}", "and the {a}", "what is its {a}", "what is the {a}", "its {a}"]
LOOKUP_REPLIES = [
    "the {a} of {e} is {v}.{k}", "{e}: the {a} is {v}.{k}", "the {a} is {v}.{k}", "it is {v}.{k}", "{v}.{k}",
    "I looked it up: the {a} of {e} is {v}.{k}", "for {e}, the {a} is {v}.{k}",
]  # fmt: skip
UNSURE = [
    "Let me look that up.", "I will look that up.", "Let me check.", "Good question, let me check.", "I am not sure.",
    "Let me work that out.", "One moment, let me see.",
]  # fmt: skip
NOT_FOUND = ["I could not find that.", "I looked but found nothing about that.", "Sorry, I could not find out."]
OPENERS = [
    "hey, ", "hi! ", "quick question: ", "please tell me, ", "do you know ", "can you tell me ", "could you tell me ",
    "I wonder, ", "I'm curious, ", "tell me, ", "so, ", "hello, ", "Okay, ", "any idea ", "remind me, ", "well, ",
]  # fmt: skip
GREETERS = [
    "Hi!", "Hello there.", "Hey, how are you?", "I'm fine, thanks.", "Nice to meet you.", "Good morning!",
    "I have a question.", "Sure, go ahead.", "How can I help?", "Thanks, that helped.", "You're welcome.",
]  # fmt: skip

ARITHMETIC: list[tuple[str, list[str]]] = [
    ("{a}+{b}", [
        "what is {a} plus {b}", "{a}+{b}", "{a} + {b}", "how much is {a} and {b}", "add {a} and {b}", "{a} plus {b}",
        "what do you get if you add {b} to {a}", "what is the sum of {a} and {b}", "the total of {a} and {b}",
        "calculate {a} + {b}", "how much is {a}+{b}", "what is {a} added to {b}", "sum up {a} and {b}",
        "i have {a} coins and get {b} more, how many is that", "put {a} and {b} together", "{a} increased by {b}",
        "what does {a} plus {b} make", "what is {b} more than {a}", "compute {a} plus {b}"]),
    ("{a}-{b}", [
        "what is {a} minus {b}", "{a}-{b}", "{a} - {b}", "subtract {b} from {a}", "take {b} away from {a}",
        "how much is {a} less {b}", "{a} minus {b}", "what is the difference between {a} and {b}", "{a} take away {b}",
        "what is left of {a} after taking {b}", "calculate {a} - {b}", "{a} reduced by {b}", "deduct {b} from {a}",
        "i had {a} and gave away {b}, what remains", "what is {b} less than {a}", "{a} decreased by {b}"]),
    ("{a}*{b}", [
        "what is {a} times {b}", "{a}*{b}", "{a} x {b}", "{a} * {b}", "multiply {a} by {b}", "{a} times {b}",
        "what is the product of {a} and {b}", "how much is {a} multiplied by {b}", "{a} multiplied with {b}",
        "calculate {a} × {b}", "what do {a} boxes of {b} make", "work out {a} times {b}", "multiply {a} and {b}"]),
    ("{a}/{b}", [
        "what is {a} divided by {b}", "{a}/{b}", "{a} / {b}", "divide {a} by {b}", "{a} over {b}", "{a} ÷ {b}",
        "how often does {b} go into {a}", "share {a} among {b}", "split {a} into {b} equal parts",
        "how many times does {b} fit in {a}", "what is the quotient of {a} and {b}", "how much is {a} divided by {b}"]),
    ("{a}% of {b}", [
        "what is {a}% of {b}", "{a}% of {b}", "{a} percent of {b}", "how much is {a} percent of {b}",
        "what is {a} per cent of {b}", "calculate {a}% of {b}", "work out {a} percent of {b}", "take {a}% of {b}"]),
    ("{a}^2", ["what is {a} squared", "{a} squared", "the square of {a}", "square {a}", "{a}^2"]),
    ("{a}^3", ["what is {a} cubed", "the cube of {a}", "{a}^3", "{a} to the power of 3"]),
    ("{a}^{b}", ["what is {a} to the power of {b}", "{a}^{b}", "raise {a} to the power {b}", "{a} to the {b}th power"]),
    ("sqrt({a})", ["what is the square root of {a}", "square root of {a}", "the root of {a}", "sqrt({a})"]),
    ("{a}+{b}+{c}", ["{a}+{b}+{c}", "what is {a} plus {b} plus {c}", "add {a}, {b} and {c}"]),
    ("{a}*{b}+{c}", ["{a}*{b}+{c}", "what is {a} times {b} plus {c}", "multiply {a} by {b} and add {c}"]),
    ("({a}+{b})*{c}", ["({a}+{b})*{c}", "what is ({a} + {b}) times {c}", "add {a} and {b}, then multiply by {c}"]),
    ("{a}/2", ["what is half of {a}", "half of {a}", "halve {a}", "what's one half of {a}"]),
    ("{a}*2", ["what is twice {a}", "double {a}", "what is {a} doubled", "two times {a}"]),
]  # fmt: skip
ARITHMETIC_REPLIES = ["{q} = {v}", "It is {v}.", "That makes {v}.", "The answer is {v}.", "{v}.", "{q} is {v}."]
TRANSLATIONS = [
    "{w} in {l}", "how do you say {w} in {l}", "what is {w} in {l}", "translate {w} to {l}", "translate {w} into {l}",
    "what is the {l} word for {w}", "how do i say \"{w}\" in {l}", "what is the {l} for {w}", "{l} for {w}",
    "what do they call {w} in {l}", "how would you put {w} in {l}", "what's {w} called in {l}",
]  # fmt: skip
UNIT_REPLIES = ['In {l}, "{w}" is "{v}".', '"{w}" in {l} is "{v}".', 'It is "{v}" in {l}.', "{v}."]
