"""Personal data in text, replaced by what it was: [email], [phone], [ip], [card].

Takes text, gives text. Numbers are masked by their form: years, sums, decimals and ISBNs stay; a bare run of digits
goes only where the words before say that it is a telephone. Every expression is bounded, so time is linear in the text.
"""

import ipaddress
import re
from functools import partial

CONTEXT = 48  # characters before a bare number that may say that it is a telephone

# Each begins with the characters that it may begin with and looks back afterwards: ten times as fast as the other way.
_LETTER = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"  # no script that is written without spaces before an address
_AT = re.compile(r"@(?<=[\w+%-]@)(?=[^\W_])")
_LOCAL = re.compile(rf"[{_LETTER}0-9_](?:[{_LETTER}0-9_.+%'-]{{0,62}}[{_LETTER}0-9_+%-])?\Z")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_FILE = re.compile(r"[0-9]x\.(?:png|jpe?g|gif|svg|webp|avif|pdf)(?![\w.])", re.I)  # icon@2x.png

_IP4 = re.compile(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\.?\w)")
_VERSION = re.compile(r"(?:version|release|section|chapter|clause|v|§)[\s.:]{0,2}\Z", re.I)
_HEX = "[0-9a-fA-F]"
_IP6 = re.compile(  # global, local and link-local addresses: all in use
    rf"[23fF](?<![\w:.][23fF])(?:(?<=[23]){_HEX}{{3}}|(?<=[fF])(?:[cCdD]{_HEX}|[eE][89abAB]){_HEX})"
    rf":[0-9a-fA-F:]{{1,35}}(?:\.[0-9.]{{3,12}})?(?![\w:])"
)

_SEPARATOR = r"[ \u00a0.()/-]"
_NUMBER = re.compile(
    rf"[0-9+(](?<![\w.,/#$€£=-][0-9+(])[+(]?{_SEPARATOR}{{0,3}}(?:[0-9]{_SEPARATOR}{{0,3}}){{5,60}}[0-9](?!\w|[.,][0-9])"
)
_DATE = re.compile(
    r"(?:1[0-9]|20)[0-9]{2}[./-][01]?[0-9][./-][0-3]?[0-9](?![0-9])"
    r"|[0-3]?[0-9][./-][0-3]?[0-9][./-](?:1[0-9]|20)[0-9]{2}(?![0-9])"
)
_CARD = re.compile(
    r"(?<![0-9])(?:[2-6][0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|3[0-9]{3}([ -]?)[0-9]{6}\2[0-9]{4,5}|4[0-9]{12})(?![0-9])"
)
_ISSUER = re.compile(  # Visa, Mastercard, American Express, Diners, Discover and UnionPay, JCB
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|2[2-7])[0-9]{14}|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}"
    r"|6(?:011|4[4-9][0-9]|5[0-9][0-9]|2[0-9][0-9])[0-9]{12}(?:[0-9]{3})?|35[0-9]{14}"
)
_INTERNATIONAL = re.compile(rf"(?<![0-9])\(?\+\(?[1-9](?:{_SEPARATOR}{{0,2}}[0-9]){{8,14}}(?![0-9])")
_DECIMAL = re.compile(r"\+[0-9]+\.[0-9]+|\+[0-9]{1,3}(?:\.[0-9]{3})+")  # a coordinate, a number in groups
_US = re.compile(
    r"(?<![0-9])(?<![0-9][.-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[0-9]{3}[ .-][0-9]{4}(?![.-]?[0-9])"
    r"|(?<![0-9])(?<![0-9][ .-])[2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}(?![ .-]?[0-9])"
)
_WORDS = (
    "telephone|telefone?|telefono|teléfono|téléphone|phone|tel|tél|tlf|mobile?|móvil|handy|celular|cell|fax|telefax|call"
    "|ring|dial|whatsapp|hotline|rufnummer|телефон|тел"
)
_BETWEEN = "us|me|them|him|her|now|on|at|is|no|nr|number|nummer|line|the|of|sure|yes|ok|okay|it|it's|my|:|\\.|#|-"
_CALLED = re.compile(
    rf"(?:\b(?:{_WORDS})s?\b|电话|電話|手机|手機|電話番号)(?:[\s,?]{{0,3}}(?:{_BETWEEN})){{0,6}}[\s:：.#?]{{0,3}}\Z",
    re.I,
)
_PLAIN = re.compile(rf"\(?[0-9](?:{_SEPARATOR}{{0,2}}[0-9]){{6,14}}(?![0-9])")


def mask(text: str, before: str = "") -> str:
    """`text` with e-mail addresses, telephone and payment card numbers (Luhn) and IP addresses replaced.

    `before` is what was said before: a question for a telephone number tells what its answer is.
    """
    if "@" in text:
        text = _mask_emails(text)
    if ":" in text:
        text = _IP6.sub(_ip6, text)
    if "." in text:
        text = _IP4.sub(_ip4, text)
    return _NUMBER.sub(partial(_number, before), text)


def _mask_emails(text: str) -> str:
    parts: list[str] = []
    end = 0
    for at in _AT.finditer(text):
        place = at.start()
        if place < end or _FILE.match(text, place + 1):
            continue
        domain = _DOMAIN.match(text, place + 1)
        local = _LOCAL.search(text, max(end, place - 64), place) if domain else None
        if local and domain:
            parts += [text[end : local.start()], "[email]"]
            end = domain.end()
    return "".join([*parts, text[end:]])


def _ip6(found: re.Match[str]) -> str:
    address = found[0].rstrip(":.")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return found[0]
    return "[ip]" + found[0][len(address) :]


def _ip4(found: re.Match[str]) -> str:
    """A version, a section or a list of single digits is no address, and what is one of them tells of nobody."""
    octets = found[0].split(".")
    padded = any(octet != str(int(octet)) for octet in octets)
    if padded or max(map(int, octets)) > 255 or max(map(len, octets)) == 1:
        return found[0]
    return found[0] if _VERSION.search(found.string, max(0, found.start() - 10), found.start()) else "[ip]"


def _number(before: str, found: re.Match[str]) -> str:
    """A run of digits and what separates them, with the cards and telephones in it masked."""
    run = _CARD.sub(_card, found[0])
    run = _INTERNATIONAL.sub(lambda plus: plus[0] if _DECIMAL.fullmatch(plus[0]) else "[phone]", run)
    run = _US.sub("[phone]", run)
    if run == found[0] and not _DATE.match(run):
        said = f"{before[-CONTEXT:]}\n{found.string[max(0, found.start() - CONTEXT) : found.start()]}"[-CONTEXT:]
        if _CALLED.search(said):
            run = _PLAIN.sub("[phone]", run, count=1)
    return run


def _card(found: re.Match[str]) -> str:
    number = found[0]
    digits = re.sub(r"[^0-9]", "", number)
    for size in {len(digits), min(len(digits), 16)}:  # three digits after sixteen may be another number
        if _ISSUER.fullmatch(digits[:size]) and luhn(digits[:size]):
            rest = number[-4:] if size < len(digits) and number[-4] in " -" else ""
            if size == len(digits) or rest:
                return "[card]" + rest
    return number


def luhn(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
