"""What the scripted server says: replies by the words of the question, and traces as `Trace.to_json` gives them."""

from typing import Any

KILIMANJARO = {
    "text": "The height of Mount Kilimanjaro is 5,895 metres. [1]",
    "sources": [
        {
            "k": 1,
            "title": "Mount Kilimanjaro",
            "url": "https://en.wikipedia.org/wiki/Mount_Kilimanjaro",
            "quote": "Mount Kilimanjaro / height / 5,895 metres",
            "verdict": "supported",
            "fetched": "2026-01-02T03:04:05+00:00",
        }
    ],
    "claims": [
        {
            "text": "The height of Mount Kilimanjaro is 5,895 metres.",
            "cites": [1],
            "verdict": "supported",
            "missing": [],
        }
    ],
}
TURNED = "Wikipedia \u202egro.live\u202c"  # reads backwards where it is shown as it is
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
SCRIPT: dict[str, dict[str, Any]] = {  # what a question says -> the reply
    "kilimanjaro": KILIMANJARO,
    "hostile": {
        "text": f"{HOSTILE} [a](javascript:alert(1)) [b](https://example.org/b) [1]",
        "sources": [
            {**KILIMANJARO["sources"][0], "title": HOSTILE, "url": "javascript:alert(1)", "quote": HOSTILE},
        ],
        "claims": [],
    },
    "turned": {
        "text": "It is. [1] See https://example.org/\u202egro.live for more.",
        "sources": [{**KILIMANJARO["sources"][0], "title": TURNED}],
        "claims": [],
    },
    "unsure": {
        "text": "It was built in 1889.",
        "sources": [],
        "verified": False,
        "claims": [{"text": "It was built in 1889.", "cites": [], "verdict": "no source", "missing": ["1889"]}],
    },
    "spanish": {"text": 'The answer is "buenos días" in Spanish.', "sources": [], "claims": []},
    "markdown": {
        "text": "# Plan\n\nTake **three** things:\n\n1. a *map*\n2. `water`\n   - two bottles\n\n"
        "```py\nx = 1 < 2\n```\n\n> Go early.\n\nSee https://example.org/a_b.",
        "sources": [],
        "claims": [],
    },
}
ROLES = [
    {"id": "lamda", "name": "LaMDA", "greeting": "", "description": "Answers questions and looks things up."},
    {
        "id": "everest",
        "name": "Mount Everest",
        "greeting": "Hello from 8,849 metres. What would you like to know about me?",
        "description": "A mountain that tells about itself.",
    },
]


def considered(
    text: str, scores: tuple[float, ...], dropped: str | None = None, chosen: bool = False
) -> dict[str, Any]:
    """A candidate as a trace has it; scores are sensible, specific, interesting, safe, grounded."""
    names = ("sensible", "specific", "interesting", "safe", "grounded")
    named = dict(zip(names, scores, strict=False))
    return {"text": text, "logprob": -2.0 - len(text) / 20, "scores": named, "dropped": dropped, "chosen": chosen}


def trace_of(question: str, reply: dict[str, Any]) -> dict[str, Any]:
    """A trace in which the reply was chosen among sixteen, some of which were dropped, after one look-up."""
    text = reply["text"]
    drafts = [
        *(considered("Let me look that up.", (0.62, 0.21, 0.76, 0.99), chosen=i == 0) for i in range(9)),
        *(considered("It is high, I believe.", (0.71, 0.18, 0.31, 0.97)) for _ in range(3)),
        considered("About 5,900 metres.", (0.55, 0.42, 0.38, 0.96)),
        considered("", (0.1, 0.1, 0.1, 0.9), "empty"),
        considered("Why would anybody as dull as you care?", (0.74, 0.12, 0.81, 0.12), "unsafe"),
        considered("Climb it in winter without a guide.", (0.58, 0.33, 0.66, 0.22), "unsafe"),
    ]
    final = [
        *(considered(text, (0.97, 0.91, 0.86, 0.99, 0.98), chosen=i == 0) for i in range(5)),
        *(considered("It is 5,895 metres. [1]", (0.92, 0.77, 0.64, 0.99, 0.97)) for _ in range(4)),
        considered("5,895 metres. [1]", (0.73, 0.43, 0.47, 0.99, 0.95)),
        considered("5,895 metres. [1]", (0.73, 0.43, 0.47, 0.99, 0.95)),
        considered("High enough for snow: 5,895 metres. [1]", (0.95, 0.88, 0.93, 0.61, 0.9)),
        considered("It is 5,985 metres. [1]", (0.94, 0.81, 0.66, 0.98, 0.41), "not in the source: 5,985"),
        considered("It rises 4,900 metres from its base.", (0.9, 0.84, 0.77, 0.97, 0.35), "no source: 4,900"),
        considered("Look it up yourself.", (0.64, 0.1, 0.5, 0.21, 0.3), "unsafe"),
        considered("You could not climb it anyway.", (0.6, 0.2, 0.7, 0.14, 0.22), "unsafe"),
    ]
    found = {
        "text": "Mount Kilimanjaro / height / 5,895 metres",
        "url": "https://en.wikipedia.org/wiki/Mount_Kilimanjaro",
        "title": "Mount Kilimanjaro",
        "fetched": "2026-01-02T03:04:05+00:00",
    }
    query = question.rstrip("?")
    call = {"query": query, "cached": False, "failure": None}
    return {
        "round": "final",
        "candidates": final,
        "rounds": {"draft": drafts, "final": final},
        "research": [{"query": query, "results": [found], "error": None}],
        "calls": [
            {**call, "tool": "calculator", "ms": 1.87, "results": 0},
            {**call, "tool": "translator", "ms": 0.13, "results": 0},
            {**call, "tool": "search", "ms": 12.28, "results": 5},
        ],
        "claims": reply.get("claims", []),
        "timings": {
            "draft: sample": 0.557,
            "draft: judge": 0.236,
            "research": 0.302,
            "final: sample": 0.162,
            "final: judge": 0.156,
        },
        "seed": 0,
        "role": "lamda",
        "model": "nano",
        "thresholds": {"safe": 0.2989672986327976},
        "weights": {"sensible": 3, "specific": 1, "interesting": 1},
        "sources": reply["sources"],
        "text": text,
    }


def scripted(question: str) -> dict[str, Any]:
    """The reply to a question: of the script, or its words repeated."""
    for word, reply in SCRIPT.items():
        if word in question.lower():
            return reply
    return {"text": f"You said: {question}", "sources": [], "claims": []}
