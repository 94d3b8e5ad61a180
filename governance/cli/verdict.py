"""What a check of `governance doctor` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`state` is ok, warning or wrong; `fix` says what to do where it is not ok."""

    check: str
    state: str
    says: str
    fix: str = ""


def ok(check: str, says: str) -> Verdict:
    return Verdict(check=check, state="ok", says=says)


def warning(check: str, says: str, fix: str) -> Verdict:
    return Verdict(check=check, state="warning", says=says, fix=fix)


def wrong(check: str, says: str, fix: str) -> Verdict:
    return Verdict(check=check, state="wrong", says=says, fix=fix)
