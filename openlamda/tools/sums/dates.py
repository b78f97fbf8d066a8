"""Days between dates, dates so many days away, days of the week: `"what date is 30 days after 5 March 2024"`.

Dates are read with the month in words or as 2024-03-05; 3/4/2024 is read in two ways, so it is not read. The calendar
is the Gregorian one throughout. Raises `ValueError` for what is no question about dates.
"""

import calendar
import re
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction

from openlamda.tools.sums.arithmetic import whole, written
from openlamda.tools.sums.expressions import evaluate

_MONTHS = "january february march april may june july august september october november december".split()
MONTHS = {name: number for number, month in enumerate(_MONTHS, start=1) for name in (month, month[:3])} | {"sept": 9}
_MONTH = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[0-9]{4})"
_DATE = [
    re.compile(pattern)
    for pattern in (
        r"(?<![0-9-])(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?![0-9-])",
        rf"(?:the )?(?<![0-9]){_DAY} (?:of )?{_MONTH},? {_YEAR}(?![0-9])",
        rf"(?<![a-z]){_MONTH} (?:the )?{_DAY},? {_YEAR}(?![0-9])",
    )
]
_NAMED = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
_UNITS = {"day": 1, "week": 7, "fortnight": 14, "month": 1, "year": 12, "decade": 120}
_COUNT = r"(?P<count>[a-z0-9, -]+?) (?P<unit>day|week|fortnight|month|year|decade)s?"
_ASK = (
    r"(?:(?:what|which) (?:date|day) (?:is|was|will be|comes|falls)(?: it)? |what (?:is|was|will) the date(?: be)? "
    r"|(?:the )?date )?(?:the )?"
)
_HOW_MANY = (
    r"(?:(?:how many|what is the number of|number of|count(?: the)?) )?"
    r"(?P<unit>day|week|month|year)s(?: (?:are|were|is|have passed|passed)(?: there| left)?)?"
)


def dated(text: str, today: date) -> str:
    """The answer to a question about dates in plain text, on a day that is called today."""
    text = re.sub(r"\s+", " ", text.strip().strip("?!. \"'`")).replace("the day ", "a day ")
    dates: list[date] = []

    def mark(day: date) -> str:
        dates.append(day)
        return f"@{len(dates) - 1}"

    for pattern in _DATE:
        text = pattern.sub(lambda match: mark(_date(match)), text)
    text = re.sub(
        r"(?<![a-z'])(today|tomorrow|yesterday|now)(?![a-z])", lambda m: mark(today + timedelta(_NAMED[m[1]])), text
    )
    for pattern, answer in _QUESTIONS:
        match = pattern.fullmatch(text)
        if match is not None:
            return answer({**match.groupdict()}, dates, today)
    raise ValueError("no question about dates")


def _date(match: re.Match[str]) -> date:
    month = MONTHS.get(match["month"]) or int(match["month"])
    return date(int(match["year"]), month, int(match["day"]))


def _shown(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1].title()} {day.year}"


def _counted(count: Fraction | int, unit: str) -> str:
    return f"{written(Fraction(count))} {unit}{'' if count == 1 else 's'}"


def _moved(day: date, count: int, unit: str) -> date:
    if unit in ("day", "week", "fortnight"):
        return day + timedelta(count * _UNITS[unit])
    months = day.year * 12 + day.month - 1 + count * _UNITS[unit]
    year, month = divmod(months, 12)
    return date(year, month + 1, day.day)  # 31 January and a month has no date: no answer


Answer = Callable[[dict[str, str], list[date], date], str]


def _count(text: str) -> int:
    return 1 if text in ("", "a", "an", "the") else whole(evaluate(text).number, 10_000_000)


def _away(sign: int) -> Answer:
    def answer(found: dict[str, str], dates: list[date], today: date) -> str:
        start = dates[int(found["from"])] if found.get("from") else today
        try:
            return _shown(_moved(start, sign * _count(found["count"]), found["unit"]))
        except OverflowError as error:
            raise ValueError("outside the calendar") from error

    return answer


def _between(found: dict[str, str], dates: list[date], today: date) -> str:
    start = dates[int(found["from"])] if found.get("from") else today
    end = dates[int(found["to"])] if found.get("to") else today
    return _apart(start, end, found["unit"])


def _apart(start: date, end: date, unit: str) -> str:
    days = (end - start).days
    if days < 0:
        raise ValueError("the later date comes first")
    if unit in ("day", "week"):
        return _counted(Fraction(days, _UNITS[unit]), unit)
    months = (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)
    if unit == "month" and end.day != start.day:
        raise ValueError("no whole months")
    if unit == "year" and (end.month, end.day) != (start.month, start.day):
        raise ValueError("no whole years")
    return _counted(months if unit == "month" else months // 12, unit)


def _age(found: dict[str, str], dates: list[date], today: date) -> str:
    born, then = dates[int(found["from"])], dates[int(found["to"])] if found.get("to") else today
    if then < born:
        raise ValueError("not born yet")
    return _counted(then.year - born.year - ((then.month, then.day) < (born.month, born.day)), "year")


def _weekday(found: dict[str, str], dates: list[date], today: date) -> str:
    return calendar.day_name[dates[int(found["from"])].weekday()]


def _itself(found: dict[str, str], dates: list[date], today: date) -> str:
    return _shown(dates[int(found["from"])])


def _years(found: dict[str, str], dates: list[date], today: date) -> str:
    first = int(found["first"])
    last = int(found["last"]) if found.get("last") else today.year
    if last < first:
        raise ValueError("the later year comes first")
    return _counted(last - first, "year")


def _leap(found: dict[str, str], dates: list[date], today: date) -> str:
    return "Yes" if calendar.isleap(int(found["year"])) else "No"


def _days_of(found: dict[str, str], dates: list[date], today: date) -> str:
    year = int(found["year"])
    if found.get("month"):
        return _counted(calendar.monthrange(year, MONTHS[found["month"]])[1], "day")
    return _counted(366 if calendar.isleap(year) else 365, "day")


def _months_between(found: dict[str, str], dates: list[date], today: date) -> str:
    months = [int(found[f"year{end}"]) * 12 + MONTHS[found[f"month{end}"]] for end in "12"]
    if months[1] < months[0]:
        raise ValueError("the later month comes first")
    return _counted(months[1] - months[0], "month")


def _reader(pattern: str, answer: Answer) -> tuple[re.Pattern[str], Answer]:
    return re.compile(pattern), answer


_FROM, _TO = r"@(?P<from>[0-9])", r"@(?P<to>[0-9])"
_QUESTIONS = [
    _reader(rf"{_HOW_MANY} between {_FROM} and {_TO}", _between),
    _reader(rf"{_HOW_MANY} from {_FROM} (?:to|until|till) {_TO}", _between),
    _reader(rf"{_HOW_MANY} (?:until|till|to) {_TO}", _between),
    _reader(rf"{_HOW_MANY} since {_FROM}", _between),
    _reader(rf"how many (?P<unit>day|week|month|year)s ago was {_FROM}", _between),
    _reader(rf"{_ASK}{_COUNT} (?:after|from) {_FROM}", _away(1)),
    _reader(rf"{_ASK}{_COUNT} before {_FROM}", _away(-1)),
    _reader(rf"{_ASK}(?P<unit>day|week|month|year) after {_FROM}(?P<count>)", _away(1)),
    _reader(rf"{_ASK}{_COUNT} ago", _away(-1)),
    _reader(rf"{_ASK}in {_COUNT}", _away(1)),
    _reader(rf"in {_COUNT},? what (?:date will it be|will the date be)", _away(1)),
    _reader(rf"(?:what is )?{_FROM} (?:\+|plus) {_COUNT}", _away(1)),
    _reader(rf"(?:what is )?{_FROM} (?:-|minus) {_COUNT}", _away(-1)),
    _reader(rf"(?:what is )?add {_COUNT} to {_FROM}", _away(1)),
    _reader(rf"(?:what is )?subtract {_COUNT} from {_FROM}", _away(-1)),
    _reader(
        r"(?:on )?(?:what|which) (?:day of the week|weekday|day)(?: of the week)?"
        rf" (?:is|was|will|did|does)(?: it)?(?: on)? {_FROM}(?: (?:be|fall|fall on|on))?",
        _weekday,
    ),
    _reader(rf"(?:what is )?(?:the )?(?:day of the week|weekday) (?:of|on|for) {_FROM}", _weekday),
    _reader(rf"(?:what|which) (?:date is it|is the date|date is|was the date|date was) {_FROM}", _itself),
    _reader(r"(?:what is )?@(?P<from>[0-9])'s date", _itself),
    _reader(
        r"how old (?:is|was) (?:someone|somebody|a person)(?: who (?:is|was))?"
        rf" born (?:on|in) {_FROM}(?: (?:on|by) {_TO})?",
        _age,
    ),
    _reader(
        r"(?:how many )?years (?:are |were )?(?:there )?between (?P<first>[0-9]{4}) and (?P<last>[0-9]{4})", _years
    ),
    _reader(r"(?:how many )?years from (?P<first>[0-9]{4}) (?:to|until) (?P<last>[0-9]{4})", _years),
    _reader(r"how many years (?:ago was|since) (?P<first>[0-9]{4})", _years),
    _reader(r"(?:is|was|will) (?:the year )?(?P<year>[0-9]{4}) (?:be )?a leap year", _leap),
    _reader(
        r"how many days (?:are |were )?(?:there )?in (?:the )?(?:month of |year )?"
        rf"(?:(?P<month>{'|'.join(MONTHS)}) )?(?P<year>[0-9]{{4}})",
        _days_of,
    ),
    _reader(rf"how many days (?:does|did|will) (?P<month>{'|'.join(MONTHS)}) (?P<year>[0-9]{{4}}) have", _days_of),
    _reader(
        r"(?:how many )?months (?:are |were )?(?:there )?(?:between|from)"
        rf" (?P<month1>{'|'.join(MONTHS)}) (?P<year1>[0-9]{{4}})"
        rf" (?:and|to) (?P<month2>{'|'.join(MONTHS)}) (?P<year2>[0-9]{{4}})",
        _months_between,
    ),
]
