"""Refuses passwords that anybody would try first. Pure."""

from __future__ import annotations

PASSWORD_MINIMUM = 12
PASSWORD_LENGTH = 1_000
_FEWEST_LETTERS = 5
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)


def weakness(password: str, *, name: str, email: str = "") -> str:
    """Why this password is refused for the account `name`, as a sentence; "" when it is not.

    Refused are: too few characters, the account's name or e-mail address alone or repeated, a few characters
    repeated, and a run of the alphabet, the digits or a keyboard. Upper and lower case and punctuation change nothing.
    """
    if not PASSWORD_MINIMUM <= len(password) <= PASSWORD_LENGTH:
        return f"The new password needs {PASSWORD_MINIMUM} characters or more."
    plain = _plain(password)
    for own in (name, email, email.partition("@")[0]):
        if (known := _plain(own)) and _is_repeated(plain, known):
            return "The new password is the account's own name."
    if len(set(password)) < _FEWEST_LETTERS:
        return f"The new password needs {_FEWEST_LETTERS} different characters or more."
    if any(plain and _is_run(plain, row) for row in _ROWS):
        return "The new password is a run of neighbouring characters."
    return ""


def _plain(text: str) -> str:
    """Letters and digits alone, in lower case; the text itself where it has none."""
    folded = text.casefold()
    return "".join(character for character in folded if character.isalnum()) or folded


def _is_repeated(text: str, unit: str) -> bool:
    """Whether `text` is `unit` once or more, the last time perhaps in part, and perhaps digits after it."""
    for candidate in (unit, unit[::-1]):
        for end in (text, text.rstrip("0123456789")):
            if end and len(end) >= len(candidate) and (candidate * (len(end) // len(candidate) + 1))[: len(end)] == end:
                return True
    return False


def _is_run(text: str, row: str) -> bool:
    """Whether `text` runs along `row`, forwards or backwards, round and round."""
    return any(text in line * (len(text) // len(line) + 2) for line in (row, row[::-1]))
