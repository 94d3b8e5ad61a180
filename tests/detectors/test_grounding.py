"""Claims of an answer against its sources: what is said, what is not said, and where both places are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.detectors.grounding.detector import GroundingDetector
from governance.detectors.grounding.figures import FigureKind, figures
from governance.domain.calls import Call, CallKind, Document, Message, ToolCall
from governance.domain.content import PartKind, parts_of
from governance.domain.findings import Finding

DETECTOR = GroundingDetector()
ALL = GroundingDetector({"state_supported": True})


def call(answer: str, *documents: str | Document, asked: str = "", **fields: Any) -> Call:
    stated: dict[str, Any] = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "kind": CallKind.LLM,
        "system": "rag",
        "started_at": datetime(2026, 11, 23, tzinfo=UTC),
        "content_captured": True,
        "input": (Message(role="user", text=asked),) if asked else (),
        "output": (Message(role="assistant", text=answer),),
        "documents": tuple(one if isinstance(one, Document) else Document(text=one) for one in documents),
    }
    return Call(**stated | fields)


def examined(one: Call, detector: GroundingDetector = DETECTOR) -> list[Finding]:
    return list(detector.examine_call(one, list(parts_of(one))))


def said(answer: str, *documents: str | Document, asked: str = "", least: float = 0.6) -> set[tuple[str, str]]:
    found = examined(call(answer, *documents, asked=asked))
    return {(finding.category, finding.label) for finding in found if finding.score >= least}


TERMS = (
    "Household insurance covers damage by tap water, frost and burst pipes up to EUR 1,250,000. Report damage within "
    "seven days. The excess is 2.5 % and at least 300 euros. The contract began on 12 March 2024 and runs for two "
    "years. Call +44 20 7946 0958 or write to Maria Duarte. Policy number HB-2024-000172."
)


@pytest.mark.parametrize(
    "answer",
    [
        "It covers up to €1.25 million.",
        "Gedeckt sind bis zu 1.250.000 Euro.",
        "Couvert jusqu'à 1 250 000 EUR.",
        "Report it within 7 days, or one week; the excess is 2,5 Prozent.",
        "The excess is 250 bps, at least €300.",
        "It began on 2024-03-12.",
        "It began on March 12th, 2024.",
        "Vertragsbeginn: 12. März 2024 (12.03.2024).",
        "El contrato empezó el 12 de marzo de 2024.",
        "契約は2024年3月12日に始まりました。",
        "It began in March 2024 and runs for 24 months.",
        "The policy hb 2024 000172 runs for 2 years.",
        "Call Maria Duarte at +44 20 7946 0958.",
        "About 1.3 million euros.",
        "Over 1,000,000 euros are covered, with an excess of less than 3 %.",
        "1. Report it.\n2. Write to Maria Duarte.\n3. Wait.",
        "```\nlimit = 99_000\n```",
    ],
)
def test_the_same_figure_in_another_form_is_supported(answer: str) -> None:
    assert said(answer, TERMS) == set()


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("Household insurance covers damage by frost up to EUR 1,500,000.", ("contradiction", "number")),
        ("Report damage within 14 days.", ("contradiction", "number")),
        ("The excess is 3.5 %, and at least 300 euros.", ("contradiction", "number")),
        ("The contract began on 12 May 2024.", ("contradiction", "date")),
        ("The excess is at least 400 euros.", ("contradiction", "number")),
        ("The premium is £480.", ("ungrounded", "number")),
        ("Moon landing: 20 July 1969.", ("ungrounded", "date")),
        ("Please ask Pedro Carvalho about it.", ("ungrounded", "name")),
        ("Your number is ZX-9981-77.", ("ungrounded", "number")),
        ("Household insurance does not cover damage by tap water or frost.", ("contradiction", "sentence")),
        ("Terms state: “insurance covers damage by tap water, fire and burst pipes.”", ("contradiction", "quotation")),
        ("The terms state: “Customers may cancel at any time without giving reasons.”", ("ungrounded", "quotation")),
        ("Frost is covered [3].", ("ungrounded", "citation")),
        ("See https://insurer.test/frost-2026.", ("ungrounded", "citation")),
    ],
)  # fmt: skip
def test_claims_that_the_sources_do_not_hold(answer: str, wanted: tuple[str, str]) -> None:
    assert wanted in said(answer, TERMS)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("The board approved the plan of a branch in Porto.", "The board rejected the plan of a branch in Porto."),
        ("Rates increased in the second quarter of 2025.", "Rates decreased in the second quarter of 2025."),
        ("The service is available to business customers.", "The service is unavailable to business customers."),
        ("Strangers without an account cannot order a card.", "Strangers without an account can order a card."),
    ],
)  # fmt: skip
def test_opposites_and_denials_are_contradictions(source: str, answer: str) -> None:
    assert ("contradiction", "sentence") in said(answer, source)
    assert said(source, source) == set()


def test_both_places_are_named() -> None:
    answer = "Naïvely: report damage within 14 days."
    (finding,) = (one for one in examined(call(answer, "Nothing.", TERMS)) if one.label == "number")
    assert (finding.part, finding.index, answer[finding.start : finding.end]) == (PartKind.OUTPUT, 0, "14 days")
    data = finding.data
    assert (data["status"], data["source"], data["source_index"]) == ("contradicted", "document", 1.0)
    assert isinstance(data["source_start"], float)
    assert isinstance(data["source_end"], float)
    assert TERMS[int(data["source_start"]) : int(data["source_end"])] == "seven days"


def test_without_sources_or_answer_nothing_is_said() -> None:
    assert examined(call("It is EUR 99,000."), ALL) == []
    assert examined(call("", TERMS), ALL) == []
    assert examined(call("It is EUR 99,000.", " \n"), ALL) == []


def test_supported_claims_are_stated_when_asked_for() -> None:
    found = {(one.category, one.label, one.rule) for one in examined(call("Report within 7 days [1].", TERMS), ALL)}
    assert found == {
        ("grounded", "number", "number-in-sources"),
        ("grounded", "citation", "citation-in-sources"),
    }


def test_tools_results_are_sources_and_what_was_asked_is_no_invention() -> None:
    tool = ToolCall(name="rates", arguments='{"amount": 40000}', result='{"rate": 3.85, "months": 48}')
    one = call("At 3.85 % over 48 months for 40,000 it is fine for 41,500 too.", asked="41,500?", tool_calls=(tool,))
    assert examined(one) == []
    other = call("At 4.25 % over 48 months.", tool_calls=(tool,))
    (finding,) = examined(other)
    assert (finding.category, finding.label) == ("ungrounded", "number")


def test_context_pasted_into_the_prompt_counts_when_the_policy_says_so() -> None:
    one = call("The excess is 900 euros.", asked=f"Answer from this context. {TERMS}")
    assert examined(one) == []
    found = examined(one, GroundingDetector({"sources": ["document", "input"]}))
    assert {(finding.label, finding.data.get("source", "input")) for finding in found} == {("number", "input")}


def test_a_citation_of_the_wrong_document_is_told() -> None:
    documents = ("Frost is covered up to EUR 7,500.", "Fire is covered up to EUR 9,900.")
    (finding,) = examined(call("Fire is covered up to EUR 9,900 [1].", *documents))
    assert (finding.rule, finding.category, finding.data["source_index"]) == ("cited-elsewhere", "contradiction", 1.0)
    assert examined(call("Fire is covered up to EUR 9,900 [2].", *documents)) == []


def test_words_are_not_compared_across_languages() -> None:
    answer = (
        "Der Schaden ist innerhalb von sieben Tagen zu melden, und die Versicherung zahlt auch bei Frost und Rohrbruch."
    )
    assert said(answer, TERMS, least=0.0) == set()


def test_options_change_the_version() -> None:
    assert len({DETECTOR.version, ALL.version, GroundingDetector({"sources": ["document"]}).version}) == 3


@pytest.mark.parametrize(
    ("written", "kind", "values", "dimension"),
    [
        ("1.234,56 €", FigureKind.NUMBER, (1234.56,), "eur"),
        ("$1,234.56", FigureKind.NUMBER, (1234.56,), "usd"),
        ("1.234", FigureKind.NUMBER, (1234.0, 1.234), ""),
        ("0.125", FigureKind.NUMBER, (0.125,), ""),
        ("€5m", FigureKind.NUMBER, (5e6,), "eur"),
        ("3,5 Mio. Euro", FigureKind.NUMBER, (3.5e6,), ""),
        ("12 %", FigureKind.NUMBER, (12.0,), "percent"),
        ("5 working days", FigureKind.NUMBER, (432_000.0,), "time"),
        ("500万円", FigureKind.NUMBER, (5e6,), "jpy"),
        ("2 pm", FigureKind.NUMBER, (840.0,), "clock"),
        ("10.0.0.1", FigureKind.IDENTIFIER, (), ""),
        ("2019", FigureKind.DATE, (2019.0,), ""),
    ],
)
def test_figures_are_read_as_written(written: str, kind: FigureKind, values: tuple[float, ...], dimension: str) -> None:
    (figure,) = figures(f"It is {written}")
    assert (figure.kind, figure.values, figure.dimension) == (kind, values, dimension)


PIECES = [
    *("12", "1,5", "%", "€", "March", "2024", "“", "”", "not", "three", "weeks", ".", "\n", "[2]", "Anna Berg", "-"),
    *(
        "```",
        "https://a.test/b",
        "increase",
        "the",
        "contract",
        "年",
        "\u200b",
        "(doc 4)",
        "L6",
        "12:30",
        "cent",
        "per",
    ),
    *("1.2.3", "İ", "decrease", "0", "EUR", "million", "the board approved the plan", "the board rejected the plan"),
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=120) | st.lists(st.sampled_from(PIECES), max_size=30).map(
    " ".join
)


@given(TEXTS, TEXTS, TEXTS)
@settings(max_examples=150)
def test_any_texts_give_places_within_them_and_the_same_findings_again(answer: str, source: str, asked: str) -> None:
    one = call(answer, source, asked=asked)
    found = examined(one, ALL)
    assert found == examined(one, GroundingDetector({"state_supported": True}))
    for finding in found:
        assert 0 <= finding.start < finding.end <= len(answer)
        assert 0.0 <= finding.score <= 1.0
        if "source" in finding.data:
            start, end = finding.data["source_start"], finding.data["source_end"]
            assert isinstance(start, float)
            assert isinstance(end, float)
            assert 0 <= start <= end <= len(source)


NUMBERS = st.integers(13, 10**9).map(lambda number: f"{number:,}") | st.dates().map(lambda day: day.isoformat())
SENTENCES = st.lists(st.tuples(st.sampled_from(["fee", "term", "limit", "start"]), NUMBERS), min_size=1, max_size=8)


@given(SENTENCES)
@settings(max_examples=80)
def test_an_answer_that_repeats_its_source_is_never_blamed(facts: list[tuple[str, str]]) -> None:
    source = " ".join(f"The {what} of the contract is {value}." for what, value in facts)
    assert examined(call(source, source)) == []
    assert examined(call(f'The contract says: "{source}"', source)) == []


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("1 " * 100_000, "2 " * 100_000),
        ('"a b c d e f g h" ' * 5_000, '"a b c d e f g x" ' * 5_000),
        ("[" * 200_000, "(doc " * 40_000),
        ("not b c. " * 20_000, "a b c. " * 20_000),
        ("“" + "word " * 40_000, "\u200b" * 200_000),
        ("9" * 200_000, "$" * 200_000),
        ("http://" * 30_000, "年2024年" * 30_000),
    ],
)
def test_hostile_texts_stay_linear_and_findings_few(answer: str, source: str) -> None:
    # Each takes a fraction of a second; quadratic work would not end.
    assert len(examined(call(answer, source))) <= 2_100


LEAVE = (
    "3.2 Holiday. Full-time staff have 30 days a year. Up to five days carry over until 31 March. Ask at least two "
    "weeks ahead for more than three days in a row. 3.3 Sick leave. Tell your manager on the first day; from the 4th "
    "day a certificate is due. Pay continues for six weeks. Parental leave is up to three years; notice seven weeks."
)
REPORT = (
    "Revenue rose 12.4% to $48.3 million in Q3 2025, from $43.0 million a year earlier, driven by subscriptions. "
    "Operating costs fell to $31.7 million. The firm employs 1,240 people in Lisbon, Porto and Vigo. CEO Marta Sousa "
    "said the outlook for 2026 was unchanged: growth of 8 to 10 per cent. The dividend will be €0.42 per share."
)


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("You have 30 days of holiday per year, of which up to 5 can be carried over until March 31.", LEAVE),
        ("A doctor's note is required from day 4 onwards, and your salary is paid for 6 weeks.", LEAVE),
        ("Please request it two weeks in advance if you want to be away for longer than three days.", LEAVE),
        ("Vous avez 30 jours de congés par an ; cinq jours peuvent être reportés jusqu'au 31 mars.", LEAVE),
        ("Sie haben 30 Tage Urlaub im Jahr. Fünf Tage lassen sich bis zum 31.03. übertragen.", LEAVE),
        ("Parental leave can last as long as three years. Give notice 7 weeks beforehand.", LEAVE),
        (
            "**Sick leave**\n\n1. Inform your manager on day one.\n2. Hand in a certificate from the fourth day.\n",
            LEAVE,
        ),
        ("Let me know if you have further questions, and I can help you with the form on Monday.", LEAVE),
        ("I could not find anything about unpaid leave in the documents. Section 3.2 covers holiday only.", LEAVE),
        ("Sales grew by about 12% to roughly $48 million in the third quarter of 2025.", REPORT),
        ("Revenue was $5.3 million higher than the year before ($48.3m vs. $43.0m).", REPORT),
        ("With costs of $31.7M, the operating profit works out at $16.6 million.", REPORT),
        ("The firm has more than 1,200 employees in three cities.", REPORT),
        ("Marta Sousa expects growth between 8% and 10% in 2026; shareholders get 42 cents (€0.42) a share.", REPORT),
        ("In short: revenue is up, costs are down, and the outlook has not changed.", REPORT),
        ("- Revenue: $48.3 million (+12.4%)\n- Costs: $31.7 million\n- Staff: 1,240\n", REPORT),
        ("El dividendo propuesto es de 0,42 euros por acción y la plantilla es de 1.240 personas.", REPORT),
    ],
)
def test_right_answers_in_their_own_words_are_left_alone(answer: str, source: str) -> None:
    assert said(answer, source, asked="Please tell me.") == set()
