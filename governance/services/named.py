"""What was named must exist: the error for a name that does not, with the nearest ones that do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from governance.errors import BadInput

_SHOWN = 8
_LONGEST = 80


def nearest(name: str, known: Iterable[str]) -> str:
    """'Did you mean …?', or some of those that there are; "" where there is none. A sentence."""
    names = sorted(set(known))
    folded = {one.casefold(): one for one in names}
    close = get_close_matches(name.casefold()[:200], folded, n=2, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(folded[one][:_LONGEST]) for one in close)}?"
    if not names:
        return ""
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"There are: {', '.join(one[:_LONGEST] for one in names[:_SHOWN])}{rest}."


class UnknownName(BadInput):
    """What was named does not exist; `what` says of which kind it was to be."""

    def __init__(self, message: str, *, what: str, advice: str) -> None:
        super().__init__(message, advice=advice)
        self.what = what


def unknown(what: str, name: str, known: Iterable[str], *, none: str = "") -> UnknownName:
    """The error for a `what` that does not exist; `none` is the advice where there is no other either."""
    advice = nearest(name, known) or none
    return UnknownName(f"There is no {what} {name[:_LONGEST]!r}.", what=what, advice=advice)
