"""Tables for spreadsheets: a cell is text or a number, never a formula."""

from __future__ import annotations

import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from governance.audit.spreadsheet import Cell, table

DANGEROUS = "=+-@\t\r\n＝＋－＠"


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=2, max_size=2)))
@example([["=cmd|' /C calc'!A0", '"=1+1'], ["\ufeff=1", " \u200b@SUM(A1)"], ["a\r\n=1", "a,=1"], [-5, "-5"]])
def test_no_cell_of_a_table_starts_a_formula_and_none_is_lost(rows: list[list[Cell]]) -> None:
    made = table(["one", "two"], rows)
    assert made.startswith(b"\xef\xbb\xbf")
    read = list(csv.reader(io.StringIO(made.decode("utf-8-sig"), newline="")))
    assert read[0] == ["one", "two"]
    assert len(read) == len(rows) + 1
    for written, found in zip(rows, read[1:], strict=True):
        for value, cell in zip(written, found, strict=True):
            if isinstance(value, str):
                assert not cell.strip(" \u00a0\u200b\u200c\u200d\u2060\ufeff").startswith(tuple(DANGEROUS))
                expected = value.replace("\x00", "\ufffd").encode("utf-8", "backslashreplace").decode()
                assert cell.removeprefix("'") in (expected, expected.removeprefix("'"))
            else:
                assert cell == ("" if value is None else str(value))
