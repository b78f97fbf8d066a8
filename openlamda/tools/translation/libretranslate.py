"""A server that speaks LibreTranslate's HTTP API. What is to be translated is sent to it, so it is off by default."""

from collections.abc import Collection
from functools import cached_property

import msgspec

from openlamda.errors import UserError
from openlamda.tools.http import GuardedClient
from openlamda.tools.translation.base import AUTO, NAMES, Pair

MIN_CONFIDENCE = 50  # of 100, that a language told by the server is the right one


class _Language(msgspec.Struct):
    code: str
    targets: list[str] = []


class _Detected(msgspec.Struct):
    confidence: float = 0.0


class _Answer(msgspec.Struct):
    translatedText: str  # their names
    detectedLanguage: _Detected | None = None


class LibreTranslate:
    """The languages of the server at `url`, with an API key where it wants one."""

    name = "libretranslate"

    def __init__(self, url: str, key: str = "", timeout: float = 10.0):
        self._url, self._key = url.rstrip("/"), key
        self._client = GuardedClient([url], timeout=timeout, limit=256 * 1024)

    @cached_property
    def _pairs(self) -> set[Pair]:
        answer = self._client.request("GET", f"{self._url}/languages")
        languages = self._decoded(answer, list[_Language])
        pairs = {(one.code, to) for one in languages for to in one.targets if {one.code, to} <= NAMES.keys()}
        pairs -= {(code, code) for code in NAMES}
        return pairs | {(AUTO, to) for _, to in pairs}

    def pairs(self) -> Collection[Pair]:
        """What the server says it translates, and from any language whose name it is to tell."""
        return self._pairs

    def translate(self, text: str, source: str, target: str) -> str | None:
        """The server's translation; None where it gives the text back or is unsure whose language it is."""
        asked = {"q": text, "source": source, "target": target, "format": "text"}
        if self._key:
            asked["api_key"] = self._key
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = self._client.request(
            "POST", f"{self._url}/translate", headers=headers, content=msgspec.json.encode(asked)
        )
        decoded = self._decoded(answer, _Answer)
        detected = decoded.detectedLanguage or _Detected()
        if source == AUTO and detected.confidence < MIN_CONFIDENCE:
            return None
        found = decoded.translatedText.strip()
        return found if found and found.casefold() != text.casefold() else None

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _decoded(self, answer: bytes, shape):
        try:
            return msgspec.json.decode(answer, type=shape)
        except msgspec.DecodeError as error:
            raise UserError(f"{self._url}: not LibreTranslate's JSON: {error}") from None
