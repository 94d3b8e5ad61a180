"""Passwords that anybody would try first are refused, and ordinary ones are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.access.passwords import weakness


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 12,
        "x" * 1_000,
        "xX" * 6,
        "abababababab",
        "a,b,a,b,a,b,",
        "dana.okafor!",
        "DanaOkafor1234",
        "rofako.anad1",
        "danaokaforda",
        "dana@firm.example",
        "okaforokafor",
        "abcdefghijkl",
        "lkjihgfedcba",
        "qwertyuiopas",
        "123456789012",
        "987654321098",
        "x" * 1_001,
    ],
)
def test_a_password_that_anybody_would_try_first_is_refused(password: str) -> None:
    assert weakness(
        password, name="dana.okafor", email="okafor@firm.example" if "okaforo" in password else "dana@firm.example"
    )


@pytest.mark.parametrize(
    "password",
    ["four unrelated words", "dana likes tall trees", "7f3k-29xq-mm4z", "пять слов подряд тут", "long enough admin"],
)
def test_an_ordinary_password_is_accepted(password: str) -> None:
    assert weakness(password, name="dana", email="dana@firm.example") == ""


@given(st.text(min_size=1, max_size=20), st.integers(1, 20))
def test_the_accounts_name_is_refused_however_often_it_is_written(name: str, times: int) -> None:
    password = name * times
    assert len(password) < 12 or weakness(password, name=name)


@given(st.text(max_size=1_100), st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_judged(password: str, name: str, email: str) -> None:
    assert isinstance(weakness(password, name=name, email=email), str)
