"""The tables of a package: what stands in the cells, and that no record makes a formula or breaks a row."""

from __future__ import annotations

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from governance.audit.tables import COLUMNS, Tables, head, row, table_file

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def read(*lines: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(lines).decode("utf-8-sig"), newline="")))


def test_a_row_holds_the_members_of_its_record_in_order() -> None:
    verdict = {"id": "9", "case_id": "5", "outcome": "violation", "reason": "attack", "note": "=cmd()", "seconds": 3}
    headings, cells = read(head("verdicts"), row("verdicts", verdict))
    assert tuple(headings) == COLUMNS["verdicts"]
    assert cells[:6] == ["9", "5", "violation", "attack", "'=cmd()", ""]
    policies = [{"policy": "a.one", "outcome": "fired"}, {"policy": "=b", "outcome": "error"}, "no policy"]
    decision = {"id": "1", "revision": 0, "policies": policies}
    (cells,) = read(row("decisions", decision))
    assert (cells[2], cells[6]) == ("0", "a.one (fired), =b (error)")


@given(st.sampled_from(sorted(COLUMNS)), st.data())
def test_whatever_a_record_holds_makes_one_row_of_texts(name: str, data: st.DataObject) -> None:
    record: dict[str, Any] = {column: data.draw(VALUES) for column in COLUMNS[name]}
    (cells,) = read(row(name, record))
    assert len(cells) == len(COLUMNS[name])
    for cell in cells:
        number = cell.lstrip("-").isdigit()
        assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_table_that_is_not_that_of_the_records_is_found() -> None:
    tables = Tables()
    tables.take("cases", {"id": "5"})
    tables.take("calls", {"id": "7"})
    failed: list[str] = []
    tables.check({}, failed.append)
    assert failed == [f"{table_file(name)} says otherwise than the records." for name in COLUMNS]
