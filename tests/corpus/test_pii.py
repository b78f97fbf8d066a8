"""Personal data that must go, numbers that must stay, and texts made to be slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openlamda.corpus.pii import luhn, mask

GONE = {
    "Write to jane.doe+news@mail.example.co.uk, please": "Write to [email], please",
    "<a@b.io>; 'x_y@sub-domain.example.org'.": "<[email]>; '[email]'.",
    "a@example.com b@example.com": "[email] [email]",
    "Ring +44 20 7946 0958 now": "Ring [phone] now",
    "(+49) 30 901820 or +491701234567": "[phone] or [phone]",
    "(212) 555-0123, 212-555-0123, 212.555.0123": "[phone], [phone], [phone]",
    "1-800-555-0199 is free": "[phone] is free",
    "212-555-0123 2020": "[phone] 2020",
    "phone: 01223 351880.": "phone: [phone].",
    "Their phone number is 01223351880": "Their phone number is [phone]",
    "call 555-0123 4th floor": "call [phone] 4th floor",
    "host 192.168.10.254 and 8.8.44.8.": "host [ip] and [ip].",
    "at 2001:db8::8a2e:370:7334, fe80::1": "at [ip], [ip]",
    "2001:0db8:0000:0000:0000:ff00:0042:8329": "[ip]",
    "a@b.com--thanks, c@d.org- and e@f.net-g": "[email]--thanks, [email]- and [email]-g",
    "info@münchen.de, müller@web.de": "[email], [email]",
    "请写zhang@qq.com谢谢": "请写[email]谢谢",
    "555-123-4567, (555) 123-4567 or 415 555 2671": "[phone], [phone] or [phone]",
    "Telefon 0171/1234567": "Telefon [phone]",
    "电话: 010-12345678, 手机：13912345678": "电话: [phone], 手机：[phone]",
    "fd12:3456:789a::1": "[ip]",
    "card 4111 1111 1111 1111, 123": "card [card], 123",
    "4111111111111111 / 5500-0000-0000-0004 / 3400 000000 00009": "[card] / [card] / [card]",
    "4111 1111 1111 1111 123": "[card] 123",
}
KEPT = """the years 1914-1918 and 1939-1945
2001, 2002, 2003, 2004
12 + 30 = 42, 1234567 + 7654321 = 8888888
100 200 3000 400 500 6000
a population of 328,239,523 people
3.14159265358979323846
ISBN 978-0-306-40615-7 and 0306406152
on 2021-03-04 and 04/03/2021 at 12:30:45
version 1.2.3.4, section 10.2.3.1
999.888.777.666
4111 1111 1111 1112
1234567812345678
std::vector, x[1::2], ab::cd, 12:30
user@localhost and @handle, a @ b
$1234567 and #12345678
Room 1408, 10:15-11:45, 5551234
the 2020-2021 season
teeth 2.1.2.3 over 2.1.2.3
fade::2, face::1
at +48.8566969, +2.3514616
1+15551234567 and +1.000.000.000
icon@2x.png
11 200 300 4000
2+55. 21 08 03. 2
1e10 0x7fffffff""".splitlines()


@pytest.mark.parametrize(("text", "masked"), GONE.items())
def test_what_tells_who_it_is_goes(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize("text", KEPT)
def test_what_tells_nothing_of_anyone_stays(text):
    assert mask(text) == text


def test_an_answer_is_what_the_question_asked_for():
    assert mask("07700900123", "What is your phone number?") == "[phone]"
    assert mask("Sure, it's 07700 900123.", "Can you tell me your phone number?") == "Sure, it's [phone]."
    assert mask("07700900123", "What is two to the thirtieth?") == "07700900123"
    assert mask("I was born in 1987, call me.", "phone?") == "I was born in 1987, call me."


def test_luhn_against_published_numbers():
    """The example of ISO/IEC 7812-1's annex, and the test numbers of card issuers."""
    assert luhn("79927398713") and not any(luhn(f"7992739871{n}") for n in (0, 1, 2, 4, 5, 6, 7, 8, 9))
    assert all(map(luhn, ("378282246310005", "30569309025904", "6011111111111117", "3530111333300000")))


@pytest.mark.parametrize(
    "part",
    ["a", "a.", "a@", "@", "a@a.", "1", "1 ", "1(", "+1", "(", "1.", "1.1.1.1.", "f:", "2001:", "ffff::", "555-",
     "phone ", "phone is ", "4111 ", "1                    x", "call 1", "é", "\u00a01"],
)  # fmt: skip
def test_a_hostile_megabyte_takes_no_longer_than_another(part):
    text = part * (1_000_000 // len(part))
    start = time.process_time()
    mask(text)
    mask(text + "x")
    assert time.process_time() - start < 8


@given(st.text(alphabet=st.characters(exclude_categories=["Nd"], exclude_characters="@")))
def test_without_digits_and_at_nothing_is_touched(text):
    assert mask(text) == text
