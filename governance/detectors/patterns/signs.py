"""Characters that are hidden, look like others, or encode something.

Each check takes the text and a place (code points, end exclusive).
"""

from __future__ import annotations

import re

from governance.detectors.patterns.secret_values import entropy


def not_flag(text: str, start: int, end: int) -> bool:
    """Tag characters outside of a flag (UTS #51: a black flag, up to 6 tags, a cancel tag)."""
    return not (start and text[start - 1] == "\U0001f3f4" and end - start <= 6)


def no_emoji(text: str, start: int, end: int) -> bool:
    """Zero-width characters that neither join emoji nor shape letters (Arabic, Persian, Indic scripts need them)."""
    around = text[max(0, start - 2) : start] + text[end : end + 2]
    return not any(
        ord(character) >= 0x1F000
        or 0x2190 <= ord(character) <= 0x2BFF
        or 0x0590 <= ord(character) <= 0x0FFF
        or 0x1780 <= ord(character) <= 0x18AF
        for character in around
    )


_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]")


def no_right_to_left(text: str, start: int, end: int) -> bool:
    """Direction marks without right-to-left text near them: there they can only reorder what is shown."""
    return not _RIGHT_TO_LEFT.search(text[max(0, start - 200) : end + 200].replace("\ufeff", ""))


def mixed_script(text: str, start: int, end: int) -> bool:
    """A word of Latin letters with a few look-alikes of another alphabet among them, or the other way round."""
    word = text[start:end]
    latin = sum(character.isascii() for character in word)
    return latin >= 2 and len(word) - latin >= 1 and len(word) >= 4 and "-" not in word


def opaque(text: str, start: int, end: int) -> bool:
    """A long block that is not readable text, and no embedded image."""
    before = text[max(0, start - 40) : start]
    value = text[start:end]
    return (
        "data:image" not in before and "data:font" not in before and entropy(value[:2000]) >= 4.2 and " " not in value
    )
