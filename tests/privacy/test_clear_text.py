"""What lies in clear in a database: no word of content, and after an erasure no name either."""

from __future__ import annotations

import sqlalchemy as sa

from governance.domain.people import Role, operator
from governance.services.calls.read import CallFilter
from governance.store.base import sealed
from governance.store.base import tables as t
from governance.store.calls import search
from tests.privacy.house import CONTENT, INJECTION, NAMES, House, a_call


def test_no_word_of_a_conversation_lies_in_clear(house: House) -> None:
    checked = house.application.inline.check(a_call())
    assert checked.case_id is not None
    assert house.left(*CONTENT) == set()
    # What does lie in clear is listed in docs/privacy.md: ids as they were sent are.
    assert house.left(*NAMES) == set(NAMES)
    document = house.application.read_call(checked.call_id)
    assert CONTENT[0] in document["input"][0]["text"].lower()
    assert CONTENT[5] in document["error"].lower()
    case = house.application.read_cases.row(operator("tests"), checked.case_id)
    assert case is not None
    assert "Ignore all previous" in case.excerpt


def test_words_are_found_by_keyed_tokens_whatever_their_case_and_accents(house: House) -> None:
    read = house.application.read_calls
    text = f"{INJECTION} Grüße aus Zürich, e-mail_alert 5.000 日本語 Straße"
    call = house.application.inline.check(a_call(input=[{"role": "user", "text": text}])).call_id

    def found(words: str) -> list[int]:
        return [row.id for row in read.page(operator("tests"), CallFilter(words=words)).rows]

    for words in ("grusse ZURICH", "e mail alert", "strasse", "5 000", "日本語", '"grüße" OR nothing* (', "Straße"):
        expected = [] if "nothing" in words else [call]
        assert found(words) == expected, words
    assert found("Zur") == []
    assert found("...") == []
    assert house.left("zürich", "zurich", "strasse") == set()


def test_texts_of_an_earlier_version_are_sealed_by_a_job_that_goes_on_where_it_was(house: House) -> None:
    checked = house.application.inline.check(a_call())
    with house.application.database.write() as tx:  # as they were kept before
        texts = house.application.texts.texts(tx.connection, _subjects(tx.connection))
        for subject, text in texts.items():
            tx.connection.execute(
                t.examination.update().where(t.examination.c.subject_id == subject).values(redacted=text, sealed=None)
            )
        search.remove(tx.connection, list(texts))
        tx.connection.execute(t.case.update().values(excerpt=f"… {CONTENT[0]} …", excerpt_sealed=None))
    before = house.application.read_call(checked.call_id)
    assert house.left(*CONTENT[:5]) == set(CONTENT[:5])
    assert house.application.sealing.some() > 0
    assert house.application.sealing.some() == 0
    with house.application.database.write() as tx:
        tx.jobs.add("privacy.purge", {}, at=house.application.clock())
    house.work()
    assert house.left(*CONTENT) == set()
    assert house.application.read_call(checked.call_id) == before
    found = house.application.read_calls.page(operator("tests"), CallFilter(words=CONTENT[0])).rows
    assert [row.id for row in found] == [checked.call_id]
    case = house.application.read_cases.row(operator("tests"), checked.case_id or 0)
    assert case is not None
    assert CONTENT[0] in case.excerpt


def test_a_sealed_text_that_was_changed_or_moved_says_so_and_breaks_no_page(house: House) -> None:
    checked = house.application.inline.check(a_call())
    with house.application.database.write() as tx:
        rows = tx.connection.execute(sa.select(t.examination.c.subject_id, t.examination.c.sealed)).all()
        rows = [row for row in rows if row.sealed is not None]
        for (subject, _), (_, other) in zip(rows, [*rows[1:], *rows[:1]], strict=True):
            tx.connection.execute(
                t.examination.update().where(t.examination.c.subject_id == subject).values(sealed=other)
            )
    document = house.application.read_call(checked.call_id)
    assert document["input"][0]["text"] == sealed.UNREADABLE
    officer = house.person("Ada", Role.COMPLIANCE_OFFICER)
    assert house.application.read_calls.find(officer, checked.call_id) is not None


def _subjects(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(t.examination.c.subject_id)).scalars())
