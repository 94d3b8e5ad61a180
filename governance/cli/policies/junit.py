"""The results of policies' tests as JUnit XML, as CI servers read it: one suite a policy, one case a test.

The form is that of https://github.com/testmoapp/junitxml: failures and skipped tests within their cases. Texts come
from policy files and calls: what XML 1.0 cannot hold is replaced, the rest is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from governance.engine.coverage import Coverage
from governance.engine.trial import Trial
from governance.policy.source import Source

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(
    results: Sequence[Trial],
    coverages: Sequence[Coverage],
    sources: Mapping[str, Source],
    *,
    least: float | None = None,
) -> str:
    """The document. With `least` there is a suite of coverage too: a policy below it (percent) is a failure."""
    suites = ElementTree.Element("testsuites", name="governance policy test")
    by_policy: dict[str, list[Trial]] = {}
    for result in results:
        by_policy.setdefault(result.policy, []).append(result)
    for policy, trials in by_policy.items():
        suite = ElementTree.SubElement(suites, "testsuite", name=_text(policy))
        for trial in trials:
            _case(suite, trial, sources.get(policy))
        _count(suite, sum(trial.seconds for trial in trials))
    if least is not None:
        suite = ElementTree.SubElement(suites, "testsuite", name="coverage")
        for one in coverages:
            case = ElementTree.SubElement(suite, "testcase", classname="coverage", name=_text(one.policy), time="0")
            if one.percent < least:
                words = f"{one.percent:.0f}% of the condition's parts were seen true and false; {least:g}% are needed"
                _failure(case, words, "\n".join(f"never {' and '.join(p.missing)}: {p.part.text}" for p in one.parts
                                                if p.missing))  # fmt: skip
        _count(suite, 0.0)
    _count(suites, sum(result.seconds for result in results))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, trial: Trial, source: Source | None) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=_text(trial.policy), name=_text(trial.name), time=f"{trial.seconds:.3f}"
    )
    if source is not None:
        case.set("file", _text(source.file))
        case.set("line", str(source.place(("tests", trial.number)).line))
    if trial.passed and trial.todo:
        ElementTree.SubElement(case, "skipped", message=f"to do: {trial.expected}, now {trial.got}")
    elif not trial.passed and trial.todo:
        _failure(case, "it is `todo`, but passes now: make it `expect`", trial.reason)
    elif not trial.passed:
        _failure(case, f"expected {trial.expected}, got {trial.got}", trial.reason)


def _failure(case: ElementTree.Element, message: str, details: str) -> None:
    ElementTree.SubElement(case, "failure", message=_text(message), type="failure").text = _text(details)


def _count(suite: ElementTree.Element, seconds: float) -> None:
    suite.set("tests", str(len(suite.findall(".//testcase"))))
    suite.set("failures", str(len(suite.findall(".//failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall(".//skipped"))))
    suite.set("time", f"{seconds:.3f}")


def _text(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
