"""Normalised and decoded views of a text, each with its offsets mapped back to the original's code points.

What a reader sees and what a model reads are not always what a pattern sees: letters in other alphabets that look
alike, full-width and mathematical letters, accents, characters that show nothing (UTS #39, UAX #15), or the same words
in base64.
Every function here is linear in its input, and what it builds is bounded by its input and `DECODED_LIMIT`.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

DECODED_LIMIT = 262_144
"""Most code points that are decoded from one window, over all payloads and depths."""

# Characters that show nothing or only steer how others are shown; between letters they hide a word from a pattern.
INVISIBLE = (
    "\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164"
    "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff"
)
CONTROL = "\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f"
COMBINING = "\\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f"

_FOLDABLE = (
    (0xA0, 0x24F),
    (0x1E00, 0x1EFF),
    (0x2000, 0x200A),
    (0x202F, 0x202F),
    (0x205F, 0x209F),
    (0x2100, 0x218B),
    (0x2460, 0x24FF),
    (0x3000, 0x3000),
    (0xFB00, 0xFB4F),
    (0xFE50, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1F100, 0x1F16F),
)


def _tables() -> tuple[dict[int, str], dict[int, str]]:
    one: dict[int, str] = {
        ord("ł"): "l",
        ord("Ł"): "L",
        ord("ø"): "o",
        ord("Ø"): "O",
        ord("đ"): "d",
        ord("Đ"): "D",
        ord("ı"): "i",
    }
    more: dict[int, str] = {
        ord("ß"): "ss",
        ord("æ"): "ae",
        ord("Æ"): "AE",
        ord("œ"): "oe",
        ord("Œ"): "OE",
        ord("…"): "...",
    }
    invisible = re.compile(f"[{INVISIBLE}]")
    for first, last in _FOLDABLE:
        for point in range(first, last + 1):
            character = chr(point)
            if point in one or point in more or invisible.match(character):
                continue
            plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
            folded = plain if plain.isascii() else unicodedata.normalize("NFKC", character)
            if folded and folded != character:
                (one if len(folded) == 1 else more)[point] = folded
    return one, more


FOLD, EXPAND = _tables()
"""One code point to one (so that offsets stay), and one to several."""


def _character_class(points: Iterable[int]) -> str:
    """The inside of a character class, `\\x{..}` escapes as RE2 writes them."""
    ranges: list[list[int]] = []
    for point in sorted(points):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\x{{{a:x}}}" if a == b else f"\\x{{{a:x}}}-\\x{{{b:x}}}" for a, b in ranges)


def _re2(escaped: str) -> str:
    return re.sub(r"\\(?:u|U|x)([0-9a-f]{8}|[0-9a-f]{4}|[0-9a-f]{2})", r"\\x{\1}", escaped)


# Letters that look like a Latin one, in words that mix scripts (a small part of UTS #39's confusables).
_LOOKALIKE = dict(
    zip(
        "аеорсухіјѕһԁԛԝкмтвнгпАВЕКМНОРСТУХІЈЅԌԚԜαβεικνορτυχγηΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսցհ",
        "aeopcyxijshdqwkmtbhrnABEKMHOPCTYXIJSGQWaBeiKvopTuxynABEZHIKMNOPTYXonugh",
        strict=True,
    )
)
_TO_LATIN = {ord(other): latin.lower() if other.islower() else latin for other, latin in _LOOKALIKE.items()}
_TO_CYRILLIC = str.maketrans("aeopcyxiABEKMHOPCTX", "аеорсухіАВЕКМНОРСТХ")

_OTHER_SCRIPT = "\\u0370-\\u03ff\\u0400-\\u052f\\u0531-\\u0587"
# Python's own `re` here and below only for single character classes, which it scans in linear time.
_WORD = re.compile(f"[A-Za-z{_OTHER_SCRIPT}]+")
_SPECIAL = re.compile(f"[^{COMBINING}{INVISIBLE}]?[{COMBINING}]+|[{INVISIBLE}{CONTROL}]+|[{''.join(map(chr, EXPAND))}]")
_COMBINING = re.compile(f"[{COMBINING}]")
_UNSEEN = re.compile(f"[{INVISIBLE}{CONTROL}]")
_SURROGATE = re.compile("[\ud800-\udfff]")

NEEDS_NORMALISING = (
    f"[{_re2(INVISIBLE + CONTROL + COMBINING)}{_character_class(EXPAND)}]"
    f"|[A-Za-z][{_re2(_OTHER_SCRIPT)}]|[{_re2(_OTHER_SCRIPT)}][A-Za-z]"
)
"""RE2: the text needs `normalised`."""
NEEDS_FOLDING = f"[{_character_class(FOLD)}]"
"""RE2: the text needs `folded`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A text and where each of its code points comes from.

    `starts` and `ends` are None when offsets are the original's own; otherwise a code point `i` of the view stands for
    `[starts[i], ends[i])` of the original. Both never decrease (a reversed view: never increase).
    """

    name: str
    text: str
    starts: array[int] | None = None
    ends: array[int] | None = None
    parent: View | Payloads | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a place in the view; code points, end exclusive, `start < end`."""
        if self.starts is not None and self.ends is not None:
            # The last code point, not the end: in a reversed view a place's first code point is the original's last.
            first, last = start, end - 1
            start = min(self.starts[first], self.starts[last])
            end = max(self.ends[first], self.ends[last])
        return (start, end) if self.parent is None else self.parent.original(start, end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Payloads:
    """Decoded payloads of one kind, joined by blank lines so that one pass examines them all."""

    name: str
    text: str
    at: list[int] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    parent: View | Payloads | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The place of the whole encoded text that the decoded place came from."""
        # Within a payload offsets mean nothing to the original: each place stands for its whole payload.
        first = max(0, bisect_right(self.at, start) - 1)
        last = max(0, bisect_right(self.at, max(start, end - 1)) - 1)
        start, end = self.places[first][0], max(end for _, end in self.places[first : last + 1])
        return (start, end) if self.parent is None else self.parent.original(start, end)


def encodable(text: str) -> str:
    """The text with lone surrogates replaced one to one (U+FFFD), so that it has a UTF-8 form and offsets stay."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def folded(text: str) -> View:
    """Accents off Latin letters, compatibility letters (full-width, mathematical, circled) plain; offsets unchanged."""
    return View(name="folded", text=text if text.isascii() else text.translate(FOLD))


def normalised(text: str) -> View:
    """Like `folded`, and invisible and control characters out, combining marks off, ligatures spelled out, and letters
    that look alike in words of mixed script put into the script of most of the word."""
    pieces: list[str] = []
    starts, ends = array("I"), array("I")

    def copy(start: int, end: int) -> None:
        pieces.append(text[start:end])
        starts.extend(range(start, end))
        ends.extend(range(start + 1, end + 1))

    position = 0
    for match in _SPECIAL.finditer(text):
        start, end = match.span()
        copy(position, start)
        position = end
        plain = _plain(match.group())
        pieces.append(plain)
        # Whatever the cluster becomes (nothing, one letter, a ligature's letters), each stands for the whole cluster.
        starts.extend([start] * len(plain))
        ends.extend([end] * len(plain))
    copy(position, len(text))
    joined = "".join(pieces).translate(FOLD)
    return View(name="normalised", text=_one_script(joined), starts=starts, ends=ends)


def _plain(cluster: str) -> str:
    if len(cluster) == 1 and ord(cluster) in EXPAND:
        return EXPAND[ord(cluster)]
    if not _COMBINING.search(cluster):
        return ""
    base = _UNSEEN.sub("", cluster[0])
    if base.isascii() or not base:
        return "" if _COMBINING.match(base) else base
    if ord(base) in EXPAND:
        return EXPAND[ord(base)]
    # Of a letter with a hundred marks only the first few can compose (UAX #15); the rest is decoration.
    return _COMBINING.sub("", unicodedata.normalize("NFC", base + cluster[1:4]))


def _one_script(text: str) -> str:
    if text.isascii():
        return text

    def unify(match: re.Match[str]) -> str:
        word = match.group()
        latin = sum(character.isascii() for character in word)
        if latin in (0, len(word)):
            return word
        other = sum(character.translate(_TO_LATIN) == character and not character.isascii() for character in word)
        # A letter without a Latin twin says that the word is not Latin.
        return word.translate(_TO_CYRILLIC) if other > latin else word.translate(_TO_LATIN)

    return _WORD.sub(unify, text)


# --- decoded payloads -------------------------------------------------------------------------------------------------

CANDIDATES: dict[str, str] = {
    "base64": r"[A-Za-z0-9+/_-]{20,}(?:\r?\n[A-Za-z0-9+/_-]{20,})*={0,2}",
    "hex": r"(?:[0-9A-Fa-f]{2}[ :]?){11,}[0-9A-Fa-f]{2}|(?:\\x[0-9A-Fa-f]{2}){4,}|(?:\\u00[0-9A-Fa-f]{2}){4,}",
    "binary": r"(?:[01]{8}[ ,]?){5,}[01]{8}",
    "url": r"[A-Za-z0-9._~+-]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9._~+-]*){3,}",
    "html": (
        r"[^\s<>&]{0,40}(?:&(?:#[0-9]{2,7}|#[xX][0-9A-Fa-f]{2,6}|[a-z]{2,8});[^\s<>&]{0,40}){3,}"
        # Fewer hide no order, but part of an address: entities of what stands in one.
        r"|[\w.%+@-]{0,64}(?:&(?:#0{0,4}(?:4[3568]|49|5[0-7]|6[4-9]|[78][0-9]|90|95|9[7-9]|1[01][0-9]|12[0-2])"
        r"|#[xX]0{0,4}(?:2[BbDdEe]|3[0-9]|4[0-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])"
        r"|commat|period|lowbar|plus|hyphen);[\w.%+@-]{1,64}){1,2}"
    ),
    "spaced": r"(?:[A-Za-z][ ._*|/\\-]{1,2}){7,}[A-Za-z]\b",
    "escaped": r"(?:\\[^\x00-\x7f]){6,}",
    "leet": (
        r"(?i)\b(?:[1!|i]gn[0o]r[3e]|pr[3e]v[1!|i][0o]u[5$s]|[1!|i]n[5$s]truct[1!|i][0o]n[5$s]?|"
        r"[5$s]y[5$s]t[3e]m|d[1!|i][5$s]r[3e]g[4@a]rd|byp[4@a][5$s]{2}|j[4@a][1!|i]lbr[3e][4@a]k|pr[0o]mpt|"
        r"[5$s][3e]cr[3e]t)"
    ),
    "rot13": r"(?i)\brot-?13\b|vtaber|vafgehpgvba|cerivbhf|flfgrz cebzcg|qvfertneq",
    "reversed": r"(?i)snoitcurtsni|erongi|tpmorp metsys|tpmorp\b",
    "hidden": r"[\x{e0020}-\x{e007e}]{3,}|[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4,}",
    "json": r"\\(?:[bfnrt][0-9A-Za-z(+]|u[0-9A-Fa-f]{4})",
    "form": r"=[^\s&=\x22'<>]{0,200}[0-9A-Za-z]\+[0-9]",
}
"""RE2, by payload kind: what may be an encoded text."""

PREFILTERS: dict[str, str] = {
    **CANDIDATES,
    "base64": r"[A-Za-z0-9+/_-]{20}",
    "hex": r"[0-9A-Fa-f]{12}|(?:[0-9A-Fa-f]{2}[ :]){6}|\\x[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2}",
    "binary": r"[01]{8}[ ,]?[01]{8}",
    "url": r"%[0-9A-Fa-f]{2}",
    "html": r"&(?:#[0-9xX]|[a-z]{2,8};)",
    "spaced": r"(?:\b[A-Za-z][ ._*|/\\-]{1,2}){4}",
    "escaped": r"\\[^\x00-\x7f]\\[^\x00-\x7f]",
    "form": r"[0-9A-Za-z]\+[0-9]",
    "hidden": r"[\x{e0020}-\x{e007e}]{3}|[\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]{4}",
}
"""Cheaper forms, each true wherever its candidate is: part of the one pass over every text."""

_WHOLE = frozenset({"leet", "rot13", "reversed", "json", "form"})
# A text of JSON inside a text of JSON has its escapes escaped; counts are bounded, so that each search is linear.
_JSON = re.compile(r"\\{1,7}(?:u([0-9A-Fa-f]{4})|([bfnrt\"'/]))")
_JSON_SAYS = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": " "}
_FIELD = re.compile(r"=[^\s&=\"'<>]{1,200}")
_FIELD_NAME = re.compile(r"[?&][\w.%\[\]-]{1,40}$")
_FIELD_GROUPS = re.compile(r"[0-9A-Z]{4}\+[0-9A-Z]{4}\+")
_FORM_SIGN = re.compile(r"(?<=[0-9A-Za-z])\+(?=[0-9A-Z])|%2[bB]")
_LEET = str.maketrans("013457@$!|", "oieastasii")
_SEPARATORS = re.compile(r"[ ._*|/\\-]")


def whole(kind: str) -> bool:
    """Whether the kind rewrites the whole text (letters one to one), not single places."""
    return kind in _WHOLE


def rewritten(kind: str, view: View | Payloads) -> View:
    """The whole text with leetspeak undone, rotated by 13, reversed, or with escapes of JSON or forms decoded."""
    if kind == "json":
        return _replaced(kind, view, [(*m.span(), _unescaped(m)) for m in _JSON.finditer(view.text)])
    if kind == "form":
        fields = [place.span() for place in _FIELD.finditer(view.text) if _of_a_form(view.text, *place.span())]
        signs = [sign for place in fields for sign in _FORM_SIGN.finditer(view.text, *place)]
        return _replaced(kind, view, [(*m.span(), " " if m.group() == "+" else "+") for m in signs])
    if kind == "leet":
        return View(name=kind, text=view.text.translate(_LEET), parent=view)
    if kind == "rot13":
        return View(name=kind, text=codecs.encode(view.text, "rot13"), parent=view)
    length = len(view.text)
    return View(
        name=kind,
        text=view.text[::-1],
        starts=array("I", range(length - 1, -1, -1)),
        ends=array("I", range(length, 0, -1)),
        parent=view,
    )


def _of_a_form(text: str, start: int, end: int) -> bool:
    """Whether `=value` is a field of a form and no sum: others stand beside it, or its groups are a long number's."""
    if "+" not in text[start:end]:
        return False
    beside = text[end : end + 1] == "&" or _FIELD_NAME.search(text, max(0, start - 41), start)
    return bool(beside) or bool(_FIELD_GROUPS.search(text, start, end))


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return encodable(chr(int(escape[1], 16)))
    return _JSON_SAYS.get(escape[2], escape[2])


def _replaced(name: str, view: View | Payloads, places: Iterable[tuple[int, int, str]]) -> View:
    """The text with each place (start, end, one code point) replaced."""
    pieces: list[str] = []
    starts, ends = array("I"), array("I")
    at = 0
    for start, end, character in places:
        pieces += view.text[at:start], character
        starts.extend(range(at, start + 1))
        ends.extend(range(at + 1, start + 1))
        ends.append(end)
        at = end
    pieces.append(view.text[at:])
    starts.extend(range(at, len(view.text)))
    ends.extend(range(at + 1, len(view.text) + 1))
    return View(name=name, text="".join(pieces), starts=starts, ends=ends, parent=view)


def decoded(kind: str, encoded: str) -> str:
    """The text that an encoded place contains, or "" when it is not readable text."""
    match kind:
        case "base64":
            return _readable(_from_base64(encoded))
        case "hex":
            return _readable(bytes.fromhex(re.sub(r"\\x|\\u00|[ :]", "", encoded)[: len(encoded) // 2 * 2] or ""))
        case "binary":
            return _readable(bytes(int(byte, 2) for byte in re.findall("[01]{8}", encoded)))
        case "url":
            return _readable(unquote_to_bytes(encoded.replace("+", " ")))
        case "html":
            return html.unescape(encoded)
        case "spaced":
            return _unspaced(encoded)
        case "escaped":
            return encoded.replace("\\", "")
        case "hidden":
            return _hidden(encoded)
    raise ValueError(kind)


def _from_base64(encoded: str) -> bytes:
    compact = encoded.replace("\r", "").replace("\n", "").rstrip("=").replace("-", "+").replace("_", "/")
    usable = len(compact) - (1 if len(compact) % 4 == 1 else 0)
    try:
        return base64.b64decode(compact[:usable] + "=" * (-usable % 4))
    except (ValueError, binascii.Error):
        return b""


def _readable(data: bytes) -> str:
    """Bytes as text when they are one: UTF-8, or UTF-16 as PowerShell encodes commands; "" for anything else."""
    if len(data) >= 8 and data[1::2].count(0) * 3 > len(data):
        data = data.decode("utf-16-le", "ignore").encode("utf-8", "ignore")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A payload cut by a window or by its sender still reads up to the cut.
        if error.start < len(data) - 3:
            return ""
        text = data[: error.start].decode("utf-8")
    printable = sum(character.isprintable() or character in "\n\r\t" for character in text)
    return text if text and printable >= 0.9 * len(text) else ""


def _unspaced(encoded: str) -> str:
    """`i g n o r e   a l l`: two separators are a space between words, one is none."""
    words = re.sub(r"[ ._*|/\\-]{2}", "\n", encoded)
    return _SEPARATORS.sub("", words).replace("\n", " ")


def _hidden(encoded: str) -> str:
    """Letters of the tags block (U+E0020 ...) as the ASCII they shadow; variation selectors as bytes."""
    if "\U000e0020" <= encoded[0] <= "\U000e007e":
        return "".join(chr(ord(character) - 0xE0000) for character in encoded)
    numbers = bytes(
        ord(character) - 0xFE00 if character <= "\ufe0f" else ord(character) - 0xE0100 + 16 for character in encoded
    )
    return _readable(numbers)


def joined(kind: str, places: Iterable[tuple[int, int, str]], parent: View | Payloads) -> Payloads:
    """Decoded texts with the places they came from (start, end, text), as one text to examine."""
    at: list[int] = []
    found: list[tuple[int, int]] = []
    pieces: list[str] = []
    length = 0
    for start, end, text in places:
        at.append(length)
        found.append((start, end))
        pieces.append(text)
        length += len(text) + 2
    return Payloads(name=kind, text=encodable("\n\n".join(pieces)), at=at, places=found, parent=parent)


def windows(text: str, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    """The text in pieces of `size` code points, each beginning `overlap` before the end of the one before."""
    if len(text) <= size:
        yield 0, text
        return
    start = 0
    while True:
        yield start, text[start : start + size]
        if start + size >= len(text):
            return
        start += size - overlap
