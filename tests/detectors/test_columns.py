"""Telephone numbers in columns that a header names one: each is found, and no other column's number."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detectors.patterns import PatternDetector, columns
from governance.detectors.patterns.columns import phone_cell
from governance.domain.content import Content, ContentKind

NAMES = st.sampled_from(
    [
        "phone",
        "Telefon",
        "tel",
        "Tel.",
        "mobile",
        "Mobil",
        "phone_number",
        "home phone",
        "Téléphone",
        "Handy",
        "mobilePhone",
    ]
)
NUMBERS = st.integers(20_000_000, 9_899_999_999).map(str).filter(lambda one: len(set(one)) > 2)
OTHERS = st.sampled_from(["name", "city", "price", "units sold"])


def found(text: str) -> set[str]:
    """What the pack calls a telephone number."""
    content = Content(kind=ContentKind.MESSAGE, text=text)
    return {text[one.start : one.end] for one in PatternDetector.of(["pii"]).examine(content) if one.label == "phone"}


@given(st.data(), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_each_number_of_the_column_is_a_cell_of_it_and_no_other_is(
    data: st.DataObject, delimiter: str, end: str, quoted: bool
) -> None:
    header = data.draw(st.lists(OTHERS, max_size=4))
    at = data.draw(st.integers(0, len(header)))
    header.insert(at, data.draw(NAMES))
    rows = data.draw(st.lists(st.tuples(*([NUMBERS] * len(header))), min_size=1, max_size=5))
    out = io.StringIO()
    style: Any = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=style).writerows([header, *rows])
    text = "Here is the list:\n" + out.getvalue() + "\nThank you, 87654321\n"
    place = text.index(end, text.index("list:") + 6)
    for row in rows:
        for column, number in enumerate(row):
            start = text.index(number, place)
            assert (phone_cell(text, start, start + len(number)) is not None) == (column == at)
            place = start + len(number)
    thanks = text.index("87654321", place)
    assert phone_cell(text, thanks, thanks + 8) is None or len(header) == 1


def test_what_cells_hold_beside_a_number_does_not_hide_it() -> None:
    text = 'id,phone,"Name, first",score\n17,4412345,"May, Anna",5551234\n18,79123456,"Lee, Bo",5551235\n'
    assert found(text) == {"4412345", "79123456"}
    assert found("the export:\\nid,phone\\n17,4412345\\n") == {"4412345"}, "in a string of JSON"


@pytest.mark.parametrize(
    "text",
    [
        "phone,price\nNokia,5551234567\n",
        "smartphones,stock\nNokia,5551234567\n",
        "phone,signed up\nyes,2024010155\n",
        "id,phone\n17,none\n\nid,total\n17,5551234567\n",
        "id,phone,total\n17,2024-01-05,5551234567\n",
        "phone\nWe sold 5551234567 units\n",
    ],
)
def test_numbers_of_other_columns_stay(text: str) -> None:
    assert found(text) == set()


def test_a_long_table_is_read_to_its_end_and_a_line_without_end_is_not() -> None:
    rows = [f"{number},{4_412_345 + number}" for number in range(5_000)]
    assert len(columns._cells("\n".join(["id,phone", *rows]))) == 5_000
    assert columns._cells("phone," * 20_000 + "\n" + "4412345," * 20_000) == ()
