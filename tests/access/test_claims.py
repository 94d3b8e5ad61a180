"""What an identity provider's claims say of roles: every shape that providers send, and nothing else grants."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.access.claims import MOST_NAMES, ClaimShape, read, roles
from governance.domain.people import Role

MAPPED = {"AI Reviewers": Role.REVIEWER, "/compliance/leads": Role.COMPLIANCE_OFFICER, "CN=Leads,OU=X": Role.AUDITOR}


def given_by(value: Any, path: str = "groups") -> set[str]:
    return {str(role) for role in roles(read({path: value}, path).names, MAPPED)}


@pytest.mark.parametrize(
    ("value", "granted"),
    [
        # Text: one name; commas separate, blanks do not.
        ("admin", {"admin"}),
        ("no admin", set()),
        ("admin no", set()),
        ("External auditor liaison", set()),
        ("AI Reviewers", {"reviewer"}),
        ("AI Reviewers, auditor", {"reviewer", "auditor"}),
        ("staff,admin", {"admin"}),
        ("staff;admin", set()),
        ("staff\nadmin", set()),
        ("staff\tadmin", set()),
        ("\u2003admin", set()),
        ("Admin", set()),
        ("", set()),
        ("CN=Leads,OU=X", {"auditor"}),
        ("CN=admin,OU=X", set()),
        # Lists: each text is one whole name.
        (["reviewer", "staff"], {"reviewer"}),
        (["staff, admin"], set()),
        ([" admin"], set()),
        (["a", 1, None, True, ["admin"], "auditor"], {"auditor"}),
        ([], set()),
        # JSON text, as some mappers send it.
        ('["reviewer"]', {"reviewer"}),
        ('{"admin": {"1": "x.example"}}', {"admin"}),
        ("[staff, admin]", set()),
        ('["admin"', set()),
        ('"admin"', set()),
        # Keycloak: groups with their path.
        (["/reviewer"], {"reviewer"}),
        (["/team/admin"], set()),
        (["//admin"], set()),
        (["/compliance/leads"], {"compliance_officer"}),
        (["compliance/leads"], {"compliance_officer"}),
        (["/AI Reviewers"], {"reviewer"}),
        # ZITADEL: an object keyed by role.
        ({"reviewer": {"2871": "firm.example"}, "auditor": {"2871": "firm.example"}}, {"reviewer", "auditor"}),
        ({"admin": False, "reviewer": True}, {"reviewer"}),
        ({"admin": "no"}, set()),
        ({"admin": 0, "reviewer": {}}, set()),
        ({"admin": None}, set()),
        # Objects that have a name.
        ([{"name": "reviewer", "id": "7"}], {"reviewer"}),
        ([{"value": "2c1", "display": "auditor", "$ref": "https://x.example/2c1"}], {"auditor"}),
        ([{"id": "engineer"}, "reviewer"], {"engineer", "reviewer"}),
        ([{"name": "admin", "active": False}, {"name": "reviewer", "enabled": True}], {"reviewer"}),
        ([{"type": "admin", "owner": "admin"}], set()),
        ({"name": "reviewer"}, {"reviewer"}),
        # What is no claim of names.
        (None, set()),
        (True, set()),
        (5, set()),
        ([1, 2], set()),
        ([["admin"]], set()),
    ],
)
def test_every_shape_that_providers_send_grants_what_it_says_and_no_more(value: Any, granted: set[str]) -> None:
    assert given_by(value) == granted


@pytest.mark.parametrize(
    ("claims", "path", "names"),
    [
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"resource_access": {"console": {"roles": ["a"]}}}, "resource_access.console.roles", ("a",)),
        ({"resource_access": {"gov.example.org": {"roles": ["a"]}}}, "resource_access.gov.example.org.roles", ("a",)),
        ({"https://example.org/roles": ["a"]}, "https://example.org/roles", ("a",)),
        ({"urn:zitadel:iam:org:project:roles": {"a": {"1": "x"}}}, "urn:zitadel:iam:org:project:roles", ("a",)),
        ({"a.b": ["exact"], "a": {"b": ["nested"]}}, "a.b", ("exact",)),
        ({"a": {"b": {"c": ["x"]}}, "a.b": {"c": ["y"]}}, "a.b.c", ("y",)),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_the_way_to_it(
    claims: dict[str, Any], path: str, names: tuple[str, ...]
) -> None:
    found = read(claims, path)
    assert found.readable
    assert found.names == names


@pytest.mark.parametrize(
    ("claims", "shape"),
    [
        ({}, ClaimShape.ABSENT),
        ({"group": ["a"]}, ClaimShape.ABSENT),
        ({"groups": None}, ClaimShape.ABSENT),
        ({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "x"}}}, ClaimShape.POINTER),
        ({"hasgroups": True}, ClaimShape.POINTER),
        ({"groups": 5}, ClaimShape.UNREADABLE),
        ({"groups": "{not json"}, ClaimShape.UNREADABLE),
        ({"groups": "[" * 100_000}, ClaimShape.UNREADABLE),
        ({"groups": "[" + "1" * 10_000 + "]"}, ClaimShape.UNREADABLE),
        ({"groups": "x" * (1 << 20) + ",admin"}, ClaimShape.UNREADABLE),
        ({"groups": [str(number) for number in range(MOST_NAMES)] + ["admin"]}, ClaimShape.UNREADABLE),
    ],
)
def test_what_cannot_be_read_says_why_and_gives_nothing(claims: dict[str, Any], shape: ClaimShape) -> None:
    found = read(claims, "groups")
    assert (found.shape, found.names, found.readable) == (shape, (), False)
    assert found.problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["admin", "/admin", "no admin"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["admin", "name", "id", "x", "groups"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def exact_names(value: Any) -> set[str]:
    """All texts and keys anywhere in a value: what could be an exact name at all."""
    if isinstance(value, str):
        inside: set[str] = set()
        if value.strip(" ")[:1] in ("[", "{"):
            try:
                inside = exact_names(json.loads(value))
            except (ValueError, RecursionError):
                inside = set()
        return {value, *(part.strip(" ") for part in value.split(",")), value.strip(" "), *inside}
    if isinstance(value, list):
        return set().union(*map(exact_names, value)) if value else set()
    if isinstance(value, dict):
        return set(value).union(*map(exact_names, value.values())) if value else set()
    return set()


@given(JSON)
def test_nothing_grants_but_an_exact_name(value: Any) -> None:
    found = read({"groups": value}, "groups")
    possible = {name.removeprefix("/") for name in exact_names(value)}
    assert {name.removeprefix("/") for name in found.names} <= possible
    for role in roles(found.names, MAPPED):
        assert str(role) in possible or any(
            mapped is role and name.removeprefix("/") in possible for name, mapped in MAPPED.items()
        )


@given(
    st.text(st.characters(exclude_characters=",/[{"), max_size=12),
    st.text(st.characters(exclude_characters=","), max_size=12),
)
def test_a_role_inside_a_longer_name_is_no_role(before: str, after: str) -> None:
    name = f"{before}admin{after}"
    if name.strip(" ") != "admin":
        assert given_by(name) == set()
        assert given_by(["x", name] if name != "admin" else ["x"]) == set()


@given(st.lists(st.sampled_from([str(role) for role in Role] + ["staff", "/auditor", "AI Reviewers"]), max_size=8))
def test_all_shapes_of_the_same_names_grant_the_same(names: list[str]) -> None:
    wanted = given_by(names)
    assert given_by(json.dumps(names)) == wanted
    assert given_by([{"name": name} for name in names]) == wanted
    assert given_by({name: {"org": "x"} for name in names}) == wanted
    assert given_by(",".join(names)) == wanted
    assert {str(role) for role in roles(read({"a": {"b": names}}, "a.b").names, MAPPED)} == wanted
