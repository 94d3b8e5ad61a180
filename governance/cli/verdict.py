"""What a check of `governance doctor` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`state` is ok, warning or wrong; `mend` says what to do where it is not ok."""

    check: str
    state: str
    says: str
    mend: str = ""


def ok(check: str, says: str) -> Verdict:
    return Verdict(check=check, state="ok", says=says)


def warning(check: str, says: str, mend: str) -> Verdict:
    return Verdict(check=check, state="warning", says=says, mend=mend)


def wrong(check: str, says: str, mend: str) -> Verdict:
    return Verdict(check=check, state="wrong", says=says, mend=mend)
