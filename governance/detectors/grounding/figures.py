"""Finds numbers with units and scales, dates and identifiers in several languages, and makes them comparable."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from governance.detectors.grounding.vocabulary import (
    DERIVING,
    MONEY,
    MONTHS,
    NUMBER_WORDS,
    NUMBERED,
    ORDINAL_SUFFIXES,
    SCALES,
    UNITS,
)

_LONGEST = 60
"""Code points of a token: a longer run of digits and letters is a payload, not a figure."""


class FigureKind(StrEnum):
    NUMBER = "number"
    DATE = "date"
    IDENTIFIER = "identifier"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number, date or identifier, `[start, end)` in code points.

    `values`: the readings of a number in its dimension's base unit ("1.234" may be 1234 or 1.234), `counts`
    the same before the unit ("4 days": 4). `dimension`:
    "percent", "time" (seconds), "months", "length" ..., a currency in lower case, or "" for a bare number; `word` is
    the word after a bare number. `digits`: significant digits as written. `dates`: readings as (year, month, day), 0
    where not said. `key`: an identifier's letters and digits, lower case; of a bare number its digits. `ordinal`: 3rd,
    Article 3, step 3. `spelled`: written in words. `coarse`: may be the rounding of another.
    """

    kind: FigureKind
    start: int
    end: int
    values: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    dimension: str = ""
    word: str = ""
    digits: int = 0
    dates: tuple[tuple[int, int, int], ...] = ()
    key: str = ""
    ordinal: bool = False
    spelled: bool = False
    coarse: bool = False


_DIGIT = re.compile(r"[0-9]")
_TOKEN_CHARACTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$€£¥₹%‰°.,:/'’+-_#&@²º")
_TRIM_LEFT, _TRIM_RIGHT = ".,:/'’-_&@", ".,:/'’-_&@+#"

# Patterns on tokens and short slices only: their length is bounded, so backtracking is, too.
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T[\d:.+Z-]*)?$")
_MONTH_ISO = re.compile(r"(\d{4})-(0[1-9]|1[0-2])$")
_SLASHED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})$")
_DAY_DOT_MONTH = re.compile(r"(\d{1,2})\.(\d{2})$")
_YEAR_FIRST = re.compile(r"(\d{4})[./](\d{1,2})[./](\d{1,2})$")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?([ap]m)?$", re.IGNORECASE)
_AMOUNT = r"\d+(?:[.,'’]\d+)*"
_NUMBER = re.compile(rf"([$€£¥₹#]|US\$)?([+-]?)({_AMOUNT})([^\W\d_]{{0,4}}[%‰°²º]?[cC]?)([$€£¥₹]?)\+?$", re.IGNORECASE)
_CODED = re.compile(rf"([A-Za-z]{{3}})({_AMOUNT})([a-zA-Z]{{0,2}})$")
_RANGE = re.compile(rf"([$€£¥₹]?)({_AMOUNT})([%‰]?)-[$€£¥₹]?({_AMOUNT})([^\W\d_]{{0,2}}[%‰]?)$")
_HYPHENED = re.compile(rf"({_AMOUNT})-([^\W\d_]{{2,12}})(?:-[^\W\d_]{{2,12}})?$")
_GROUPS = re.compile(r"(?:[ \u00a0\u202f\u2009]\d{3}){1,4}(?![\d])")
_AFTER = re.compile(r"[\s\u00a0-]{0,2}(?:([^\W\d_]{1,20})|([%‰€$£¥₹]|°[CcFf]?))")
_BEFORE = re.compile(r"([^\W\d_]+|[$€£¥₹])[.,]?[\s\u00a0]{0,2}$")
_DAY_MONTH = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s{0,2}(?:of\s|de\s|d['’])?\s?([^\W\d_]{3,12})\.?"
    r"(?:,?\s{0,2}(?:de\s|del\s|of\s)?(\d{4})(?!\d))?"
)
_MONTH_DAY_YEAR = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?:,\s{0,2}|\s)(\d{4})(?!\d)")
_BETWEEN = frozenset(("working", "business", "calendar", "full", "whole", "consecutive", "further", "additional"))
"""Between a number and its unit: "four working days"."""
_HUNDREDTHS = frozenset(("cent", "cents", "centimes", "céntimos", "centesimi", "pence", "rappen"))
"""Of whatever currency."""
_HAN_DATE = re.compile(r"(\d{4})[年년]\s?(\d{1,2})[月월](?:\s?(\d{1,2})[日일])?")
_HAN_SCALE = {"万": 1e4, "萬": 1e4, "만": 1e4, "億": 1e8, "亿": 1e8, "억": 1e8, "千": 1e3}
_HAN_UNIT = {"円": "jpy", "元": "cny", "年": "months", "日": "time", "天": "time", "月": "months", "원": "krw"}


def figures(text: str) -> Iterator[Figure]:
    """All figures of the text, in order; not overlapping. Linear in the text."""
    position, length = 0, len(text)
    while (digit := _DIGIT.search(text, position)) is not None:
        start, floor = digit.start(), position
        while start > floor and text[start - 1] in _TOKEN_CHARACTERS and digit.start() - start < _LONGEST:
            start -= 1
        end = digit.end()
        while end < length and text[end] in _TOKEN_CHARACTERS:
            end += 1
        position = end
        if end - start > _LONGEST:
            continue
        token = text[start:end]
        kept = token.rstrip(_TRIM_RIGHT)
        end -= len(token) - len(kept)
        token = kept.lstrip(_TRIM_LEFT)
        start += len(kept) - len(token)
        head, slash, tail = token.partition("/")
        if slash and tail.isalpha() and not head.isalpha():  # "$670/month"
            token, end = head, start + len(head)
        if start > 0 and (text[start - 1] == "_" or (text[start - 1].isalpha() and text[start - 1] < "\u0e00")):
            continue
        for figure in _read(text, token, start, end):
            position = max(position, figure.end)
            yield figure


def spelled(text: str, words: Collection[str]) -> Iterator[Figure]:
    """Numbers in words, with what they count: "three weeks". `words` are the text's, in lower case."""
    present = NUMBER_WORDS.keys() & words
    if not present:
        return
    lowered = text.lower()
    if len(lowered) != len(text):
        return
    for spoken in sorted(present):
        start = -1
        while (start := lowered.find(spoken, start + 1)) >= 0:
            end = start + len(spoken)
            if (start and lowered[start - 1].isalnum()) or lowered[end : end + 1].isalnum():
                continue
            value, dimension, word = float(NUMBER_WORDS[spoken]), "", ""
            factor = 1.0
            for _ in range(4):
                follows = _AFTER.match(lowered, end, end + 24)
                if follows is None or not follows[1]:
                    break
                if value >= 20 and NUMBER_WORDS.get(follows[1], 20) < 10:
                    value, end = value + NUMBER_WORDS[follows[1]], follows.end()
                elif follows[1] in SCALES and len(follows[1]) > 2:
                    value, end = value * SCALES[follows[1]], follows.end()
                elif follows[1] in ("per", "pour", "por") and lowered.startswith((" cent", " ciento"), follows.end()):
                    dimension, end = "percent", lowered.index("c", follows.end()) + 4
                    break
                elif follows[1] in UNITS and len(follows[1]) > 2:
                    dimension, factor = UNITS[follows[1]]
                    end = follows.end()
                    break
                elif follows[1] in MONEY and len(follows[1]) > 2:
                    dimension, end = MONEY[follows[1]], follows.end()
                    break
                elif follows[1] in _BETWEEN:
                    end = follows.end()
                else:
                    word = follows[1]
                    break
            yield Figure(
                kind=FigureKind.NUMBER,
                start=start,
                end=end,
                values=(_rounded(value * factor),),
                counts=(value,),
                dimension=dimension,
                word=word,
                digits=1,
                spelled=True,
            )


def _read(text: str, token: str, start: int, end: int) -> Iterator[Figure]:
    if (date := _date(text, token, start, end)) is not None:
        yield date
        return
    if token.isdigit():
        figure = _number(text, start, end, token)
        if figure is not None:
            yield figure
        return
    if clock := _CLOCK.match(token):
        hour, minute = int(clock[1]), int(clock[2])
        meridiem = (clock[3] or text[end : end + 3].strip()[:2]).lower()
        if hour < 25 and minute < 60:
            values: tuple[float, ...] = (float(hour * 60 + minute),)
            if meridiem == "pm" and hour < 12:
                values = (float((hour + 12) * 60 + minute),)
            elif meridiem != "am" and hour <= 12:
                values = (*values, float((hour + 12) * 60 + minute))
            yield Figure(kind=FigureKind.NUMBER, start=start, end=end, values=values, dimension="clock", digits=4)
        return
    if number := _NUMBER.match(token):
        figure = _number(text, start, end, number[3], prefix=number[1] or "", suffix=number[4], after=number[5])
        if figure is not None:
            yield figure
            return
    elif coded := _CODED.match(token):
        if coded[1].lower() in MONEY:
            figure = _number(text, start, end, coded[2], prefix=coded[1], suffix=coded[3], after="")
            if figure is not None:
                yield figure
                return
    elif both := _RANGE.match(token):
        if len(both[2]) < 8 and len(both[4]) < 8 and not (both[2].startswith("0") and len(both[2]) > 1):
            middle = start + both.start(4) - (1 if both[1] else 0)
            first = _number(text, start, start + both.end(3), both[2], prefix=both[1], suffix=both[3], after="")
            last = _number(text, middle, end, both[4], prefix=both[1], suffix=both[5], after="")
            if first is not None and last is not None:
                if not first.dimension and last.dimension:  # "10-15 %": the unit is said once
                    unit = last.values[0] / (readings(both[4])[0] or 1.0)
                    values = tuple(_rounded(value * unit) for value in first.values)
                    first = replace(first, dimension=last.dimension, values=values)
                yield first
                yield last
                return
    elif (hyphened := _HYPHENED.match(token)) and hyphened[2].isalpha():
        figure = _number(text, start, start + hyphened.end(2), hyphened[1], suffix=hyphened[2].lower(), loose=True)
        if figure is not None:
            yield figure
            return
    key = "".join(character for character in token if character.isalnum()).lower()
    if len(key) >= 2 and len(key) <= _LONGEST:
        yield Figure(kind=FigureKind.IDENTIFIER, start=start, end=end, key=key, digits=len(key))


def readings(written: str) -> tuple[float, ...]:
    """What a number in digits may mean: "1,234.5" is one; "1.234" is 1234 or 1.234, by who wrote it."""
    plain = written.replace("'", "").replace("’", "").replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    plain = plain.replace("\u2009", "")
    points, commas = plain.count("."), plain.count(",")
    if not points and not commas:
        return (float(plain),)
    if points and commas:
        mark, other = (".", ",") if plain.rfind(".") > plain.rfind(",") else (",", ".")
        return (float(plain.replace(other, "").replace(mark, ".")),) if plain.count(mark) == 1 else ()
    mark = "." if points else ","
    groups = plain.split(mark)
    thousands = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    if len(groups) > 2:
        return (float("".join(groups)),) if thousands else ()
    decimal = float(f"{groups[0] or 0}.{groups[1]}")
    if not thousands or groups[0] == "0":
        return (decimal,)
    return (float("".join(groups)), decimal)


def _number(
    text: str,
    start: int,
    end: int,
    written: str,
    *,
    prefix: str = "",
    suffix: str = "",
    after: str = "",
    loose: bool = False,
) -> Figure | None:
    """A number from its digits and what stands around it, or None when the token is something else."""
    suffix = suffix.lower()
    if not prefix and not suffix and written.isdigit() and len(written) <= 3 and (more := _GROUPS.match(text, end)):
        written, end = text[start : more.end()], more.end()
    values = readings(written)
    if not values:
        return None
    all_digits = "".join(character for character in written if character.isdigit()).lstrip("0")
    decimals = any(value != int(value) for value in values)
    digits = len(all_digits if decimals else all_digits.rstrip("0")) or 1
    scale, dimension, factor, word, ordinal = 1.0, "", 1.0, "", False
    if prefix.lower() in MONEY:
        dimension = MONEY[prefix.lower()]
    rest = end
    if suffix:
        if suffix in SCALES and not (suffix == "m" and not dimension):
            scale = SCALES[suffix]
        elif suffix == "m" and dimension:
            scale = 1e6
        elif suffix in UNITS:
            dimension, factor = UNITS[suffix]
        elif suffix in MONEY:
            dimension = MONEY[suffix]
        elif suffix in ORDINAL_SUFFIXES:
            ordinal = True
        elif loose:
            word = suffix
        else:
            return None
    if after:
        dimension = MONEY.get(after, dimension)
    if not ordinal and not word and (not suffix or scale != 1.0):
        for _ in range(4):  # a scale, a unit, or both: "3.5 million euros"
            follows = _AFTER.match(text, rest, rest + 24)
            if follows is None:
                break
            near = (follows[1] or follows[2]).lower()
            if near in ("am", "pm") and written.isdigit() and values[0] <= 12:
                dimension, factor, rest = "clock", 60.0, follows.end()
                values = (values[0] % 12 + (12 if near == "pm" else 0),)
                break
            if near in SCALES and scale == 1.0 and near not in ("k", "m"):
                scale, rest = SCALES[near], follows.end()
            elif near in _HUNDREDTHS and scale == 1.0:
                scale, rest = 0.01, follows.end()
                break
            elif near in _BETWEEN or near in ("us", "u"):
                rest = follows.end()
                continue
            elif near == "per" and text[follows.end() : follows.end() + 5].lower().strip() in (
                "cent",
                "cent.",
                "cent,",
            ):
                dimension, rest = "percent", follows.end() + 5
                break
            elif near in ("percentage", "pour", "por") and dimension == "":
                dimension, rest = "percent", follows.end()
                break
            elif near in MONEY and dimension in ("", MONEY[near]):
                dimension, rest = MONEY[near], follows.end()
                break
            elif near in UNITS and dimension == "" and (len(near) > 1 or not near.isalpha() or near in "hgl"):
                dimension, factor = UNITS[near]
                rest = follows.end()
                break
            elif near[:1] in _HAN_SCALE and scale == 1.0:
                scale, rest = _HAN_SCALE[near[:1]], follows.start(1) + 1
            elif near[:1] in _HAN_UNIT and not dimension:
                dimension, rest = _HAN_UNIT[near[:1]], follows.start(1) + 1
                factor = {"年": 12.0, "日": 86_400.0, "天": 86_400.0}.get(near[:1], 1.0)
                break
            else:
                word = near
                break
        end = max(end, rest)
    coarse = scale != 1.0 or digits == len(all_digits)
    if not coarse and (before := _BEFORE.search(text, max(0, start - 24), start)) is not None:
        coarse = before[1].lower() in DERIVING
    if not dimension and (before := _BEFORE.search(text, max(0, start - 24), start)) is not None:
        near = before[1].lower()
        if near in MONEY:
            dimension = MONEY[near]
        elif near in NUMBERED:
            ordinal, word = True, near
    year = written.isdigit() and len(written) == 4 and not dimension and scale == 1.0 and not ordinal
    if year and 1500 <= values[0] <= 2199 and (not prefix or prefix == "-"):
        return Figure(
            kind=FigureKind.DATE, start=start, end=start + 4, values=values, word=word, digits=4, key=written,
            dates=((int(values[0]), 0, 0),),
        )  # fmt: skip
    return Figure(
        kind=FigureKind.NUMBER,
        start=start,
        end=end,
        values=tuple(_rounded(value * scale * factor) for value in values),
        counts=tuple(_rounded(value * scale) for value in values),
        dimension=dimension,
        word=word,
        digits=digits,
        key="".join(filter(str.isdigit, written)) if not dimension and scale == 1.0 else "",
        ordinal=ordinal,
        coarse=coarse,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.12g}")


def _date(text: str, token: str, start: int, end: int) -> Figure | None:
    """A date that begins at, or is, the token; also one whose month's name stands before it."""
    if not token[:1].isdigit():
        return None
    if not token.isdigit():
        if found := _ISO.match(token) or _YEAR_FIRST.match(token):
            return _dated(start, end, [(int(found[1]), int(found[2]), int(found[3]))])
        if found := _MONTH_ISO.match(token):
            return _dated(start, end, [(int(found[1]), int(found[2]), 0)])
        if found := _SLASHED.match(token):
            one, other, year = int(found[1]), int(found[3]), _full_year(found[4])
            return _dated(start, end, [(year, other, one), (year, one, other)])
        if text[end : end + 1] == "." and (found := _DAY_DOT_MONTH.match(token)):
            return _dated(start, end, [(0, int(found[2]), int(found[1]))]) if 0 < int(found[2]) <= 12 else None
    elif len(token) not in (1, 2, 4):
        return None
    if found := _HAN_DATE.match(text, start, start + 20):
        return _dated(start, found.end(), [(int(found[1]), int(found[2]), int(found[3] or 0))])
    before = _BEFORE.search(text, max(0, start - 16), start)
    month = _month(before[1]) if before is not None else 0
    if month and before is not None:
        if found := _MONTH_DAY_YEAR.match(text, start, start + 16):
            return _dated(before.start(1), found.end(), [(int(found[2]), month, int(found[1]))])
        if token.isdigit() and len(token) == 4:
            return _dated(before.start(1), end, [(int(token), month, 0)])
        if (day := re.match(r"(\d{1,2})(?:st|nd|rd|th)?$", token)) is not None:
            return _dated(before.start(1), end, [(0, month, int(day[1]))])
    if (found := _DAY_MONTH.match(text, start, start + 40)) is not None and (month := _month(found[2])):
        return _dated(start, found.end(), [(int(found[3] or 0), month, int(found[1]))])
    return None


def _month(word: str) -> int:
    # "may", "march" and "mar" are words of their own: months only with a capital.
    return 0 if word in ("may", "march", "mar", "set", "mei", "mai") and word.islower() else MONTHS.get(word.lower(), 0)


def _full_year(written: str) -> int:
    year = int(written)
    if len(written) == 4:
        return year
    return year + (2000 if year < 70 else 1900)


def _dated(start: int, end: int, dates: list[tuple[int, int, int]]) -> Figure | None:
    real = tuple(dict.fromkeys((y, m, d) for y, m, d in dates if 0 <= m <= 12 and 0 <= d <= 31))
    return Figure(kind=FigureKind.DATE, start=start, end=end, dates=real, digits=8) if real else None
