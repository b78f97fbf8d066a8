"""Browsers that chat with a server, each with its next question as soon as the answer is there, and what they saw.

For serve.py. Knows nothing of who started the server, nor of its store.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

EXCHANGES = 4  # of a conversation
HEADERS = {"X-Openlamda": "1"}
QUESTIONS = (
    "What is {} plus 17?",
    "How high is Mount Kilimanjaro? ({})",
    "I like the number {}, and you?",
    "Hello, {}!",
)


@dataclass
class Seen:
    """What the clients saw, all together."""

    done: list[dict[str, Any]] = field(default_factory=list)
    stage: list[float] = field(default_factory=list)
    text: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    deliberate: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    talks: list[tuple[str, str]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    outages: list[dict[str, float]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    took: float = 0.0  # until the last reply


async def chatter(number: int, url: str, seen: Seen, until: float) -> None:
    """One browser, until the time is over and its last answer is there."""
    rng = random.Random(number)
    limits = httpx2.Limits(max_connections=4)
    async with httpx2.AsyncClient(base_url=url, headers=HEADERS, timeout=150, limits=limits) as client:
        user = await begin(client, seen)
        asked = 0
        while time.monotonic() < until:
            talk = (await patiently(client, seen, "POST", "/api/conversations", {"role": "lamda"}))["id"]
            seen.talks.append((user, talk))
            parent = None
            for _ in range(EXCHANGES):
                if time.monotonic() >= until:
                    break
                text = rng.choice(QUESTIONS).format(f"{number}.{asked}")
                request = {"text": text, "parent_id": parent, "request_id": f"{number}-{asked}", "seed": asked}
                parent = await exchange(client, seen, user, talk, request)
                asked += 1


async def begin(client: httpx2.AsyncClient, seen: Seen) -> str:
    """A session; its user's id."""
    await patiently(client, seen, "POST", "/api/session", {})
    return (await patiently(client, seen, "GET", "/api/me", None))["user_id"]


async def patiently(client: httpx2.AsyncClient, seen: Seen, method: str, path: str, body: Any) -> Any:
    """The JSON of a call, which is made again where the server says to, or is not there."""
    while True:
        try:
            response = await client.request(method, path, json=body)
            if response.status_code < 400:
                return response.json() if response.content else None
            await refused(seen, response.status_code, float(response.headers.get("retry-after", 1)))
        except httpx2.TransportError as error:
            await broken(seen, error)


async def exchange(client: httpx2.AsyncClient, seen: Seen, user: str, talk: str, request: dict[str, Any]) -> str:
    """One question and its answer, asked again until it is there; the id of the answer's message."""
    while True:
        begun, first = time.monotonic(), {}
        try:
            async with client.stream("POST", f"/api/conversations/{talk}/replies", json=request) as response:
                if response.status_code != 200:
                    await refused(seen, response.status_code, float(response.headers.get("retry-after", 1)))
                    continue
                async for name, value in events(response):
                    first.setdefault(name, time.monotonic() - begun)
                    if name == "error":
                        await refused(seen, value["status"], value["retry_after"] or 1.0)
                        break
                    if name == "done":
                        reply = value["reply"]
                        seen.done.append({"user": user, "talk": talk, "said": request["text"], **reply})
                        seen.whole.append(first["done"])
                        seen.took = time.monotonic() - seen.begun
                        seen.text.append(first.get("text", first["done"]))
                        if "stage" in first:
                            seen.stage.append(first["stage"])
                        return reply["message_id"]
        except httpx2.TransportError as error:
            await broken(seen, error)
            continue
        if "error" not in first:
            await broken(seen, None)


async def events(response: httpx2.Response):
    """The named events of a stream, their data read as JSON."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


async def refused(seen: Seen, status: int, wait: float) -> None:
    """Counts what the server said, and waits as long as it said."""
    (seen.deliberate if status in (429, 503) else seen.errors)[str(status)] += 1
    await asyncio.sleep(wait * random.uniform(1.0, 1.3))


async def broken(seen: Seen, error: Exception | None) -> None:
    """Counts a stream or a connection that broke off: meant where the server is killed, an error elsewhere."""
    seen.errors["broken off" if error is None else type(error).__name__] += 1
    await asyncio.sleep(0.5)
