"""The seam between the translator and what translates, and the languages by name and code."""

from collections.abc import Collection
from typing import Protocol

# name, two letters, three letters (ISO 639)
_LANGUAGES = """
afrikaans af afr, arabic ar ara, aragonese an arg, asturian ast ast, basque eu eus, belarusian be bel, bengali bn ben,
breton br bre, bulgarian bg bul, catalan ca cat, chinese zh zho, croatian hr hrv, czech cs ces, danish da dan,
dutch nl nld, english en eng, esperanto eo epo, estonian et est, finnish fi fin, french fr fra, galician gl glg,
german de deu, greek el ell, hebrew he heb, hindi hi hin, hungarian hu hun, icelandic is isl, indonesian id ind,
irish ga gle, italian it ita, japanese ja jpn, korean ko kor, latvian lv lav, lithuanian lt lit, macedonian mk mkd,
malay ms zlm, norwegian nb nob, nynorsk nn nno, occitan oc oci, persian fa fas, polish pl pol, portuguese pt por,
romanian ro ron, russian ru rus, sardinian sc srd, serbian sr srp, slovak sk slk, slovenian sl slv, spanish es spa,
swedish sv swe, thai th tha, turkish tr tur, ukrainian uk ukr, urdu ur urd, vietnamese vi vie, welsh cy cym
"""
_ROWS = [row.split() for row in _LANGUAGES.replace("\n", " ").split(",")]
CODES = {name: code for name, code, _ in _ROWS}
NAMES = {code: name for name, code, _ in _ROWS}
TWO_LETTERS = {code: two for _, two, three in _ROWS for code in (two, three)}

Pair = tuple[str, str]  # two codes of two letters: from, to
AUTO = "auto"  # the source in a pair of a backend that tells the language of a text by itself


class Backend(Protocol):
    """Something that translates."""

    name: str

    def pairs(self) -> Collection[Pair]:
        """What can be translated into what."""
        ...

    def translate(self, text: str, source: str, target: str) -> str | None:
        """The translation, or None where it has none worth giving. Raises UserError where the backend is broken."""
        ...
