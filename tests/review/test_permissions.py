"""Every cell of the permission matrix, as docs/review.md prints it."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.access.permissions import CedarPermissions
from governance.domain.people import SERVICE, Actor, ActorKind, Permission, Role, RoleBinding, Scope, operator
from governance.errors import Misconfigured
from tests.review.conftest import POLICIES

P = Permission
READ = {P.READ_CALLS, P.READ_CASES}
MATRIX: dict[Role, set[Permission]] = {
    Role.REVIEWER: READ | {P.CLAIM_CASE, P.DECIDE_CASE},
    Role.SENIOR_REVIEWER: READ
    | {P.CLAIM_CASE, P.DECIDE_CASE, P.DECIDE_ESCALATION, P.APPROVE_VERDICT, P.REVEAL_CONTENT, P.APPROVE_POLICY},
    Role.COMPLIANCE_OFFICER: READ
    | {P.DECIDE_ESCALATION, P.APPROVE_VERDICT, P.REVEAL_CONTENT, P.READ_AUDIT, P.EXPORT_EVIDENCE}
    | {P.PROPOSE_POLICY, P.APPROVE_POLICY, P.HOLD_AND_ERASE, P.ACKNOWLEDGE_FINDING, P.REVIEW_ACCESS},
    Role.AUDITOR: READ | {P.READ_AUDIT, P.EXPORT_EVIDENCE},
    Role.ENGINEER: READ | {P.PROPOSE_POLICY},
    Role.ADMIN: {P.READ_AUDIT, P.MANAGE_ACCESS},
}
OWN_WORK = {P.DECIDE_ESCALATION, P.APPROVE_VERDICT, P.APPROVE_POLICY, P.MANAGE_ACCESS, P.HOLD_AND_ERASE}
JUDGEMENTS = {P.CLAIM_CASE, P.DECIDE_CASE, P.DECIDE_ESCALATION, P.APPROVE_VERDICT, P.REVEAL_CONTENT}


def person(*bindings: RoleBinding) -> Actor:
    return Actor(kind=ActorKind.PERSON, id=7, name="Somebody", bindings=bindings)


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_a_role_may_exactly_what_the_matrix_says(
    permissions: CedarPermissions, role: Role, permission: Permission
) -> None:
    expected = permission in MATRIX[role]
    everywhere, one = person(RoleBinding(role=role)), person(RoleBinding(role=role, system="hr-bot"))
    assert permissions.allowed(everywhere, permission) is expected
    assert permissions.allowed(everywhere, permission, system="hr-bot") is expected
    assert permissions.allowed(one, permission, system="hr-bot") is expected
    assert not permissions.allowed(one, permission, system="support-bot")
    assert not permissions.allowed(one, permission)


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_nobody_judges_their_own_work(permissions: CedarPermissions, role: Role, permission: Permission) -> None:
    allowed = permissions.allowed(person(RoleBinding(role=role)), permission, context={"own_work": True})
    assert allowed is (permission in MATRIX[role] - OWN_WORK)


@pytest.mark.parametrize("role", Role)
def test_holding_the_case_lets_a_reviewer_reveal_and_nobody_else(permissions: CedarPermissions, role: Role) -> None:
    bound = person(RoleBinding(role=role, system="hr-bot"))
    holding = {"claimed_by_actor": True}
    expected = role is Role.REVIEWER or P.REVEAL_CONTENT in MATRIX[role]
    assert permissions.allowed(bound, P.REVEAL_CONTENT, system="hr-bot", context=holding) is expected
    assert not permissions.allowed(bound, P.REVEAL_CONTENT, system="support-bot", context=holding)


@pytest.mark.parametrize("permission", Permission)
def test_the_operator_administers_and_never_judges(permissions: CedarPermissions, permission: Permission) -> None:
    assert permissions.allowed(operator("root"), permission) is (permission not in JUDGEMENTS)


@pytest.mark.parametrize("permission", Permission)
def test_a_key_reads_with_its_scope_in_its_system(permissions: CedarPermissions, permission: Permission) -> None:
    def key(*scopes: Scope, system: str = "") -> Actor:
        return Actor(kind=ActorKind.KEY, id=1, name="key", scopes=scopes, system=system)

    assert permissions.allowed(key(Scope.READ), permission, system="hr-bot") is (permission in READ)
    assert permissions.allowed(key(Scope.READ, system="hr-bot"), permission, system="hr-bot") is (permission in READ)
    assert not permissions.allowed(key(Scope.READ, system="hr-bot"), permission, system="support-bot")
    assert not permissions.allowed(key(Scope.READ, system="hr-bot"), permission)
    assert not permissions.allowed(key(Scope.INGEST, Scope.CHECK, Scope.REPORT), permission, system="hr-bot")


@pytest.mark.parametrize("permission", Permission)
def test_without_a_role_nothing_is_allowed(permissions: CedarPermissions, permission: Permission) -> None:
    assert not permissions.allowed(person(), permission)
    assert not permissions.allowed(SERVICE, permission)


def test_roles_add_up(permissions: CedarPermissions) -> None:
    both = person(RoleBinding(role=Role.ADMIN), RoleBinding(role=Role.REVIEWER, system="hr-bot"))
    assert permissions.allowed(both, P.MANAGE_ACCESS)
    assert permissions.allowed(both, P.CLAIM_CASE, system="hr-bot")
    assert not permissions.allowed(both, P.CLAIM_CASE, system="support-bot")


def test_a_system_can_have_any_name(permissions: CedarPermissions) -> None:
    odd = 'a "quoted"\\ système\n::"'
    bound = person(RoleBinding(role=Role.REVIEWER, system=odd))
    assert permissions.allowed(bound, P.READ_CALLS, system=odd)
    assert not permissions.allowed(bound, P.READ_CALLS, system="a")


def test_a_firms_own_file_is_in_force_and_the_packaged_one_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    folder.mkdir()
    reviewer = person(RoleBinding(role=Role.REVIEWER))
    assert CedarPermissions.load(tmp_path, POLICIES).allowed(reviewer, P.READ_CALLS)
    (folder / "console.cedar").write_text('forbid (principal, action == Action::"read_calls", resource);')
    assert not CedarPermissions.load(tmp_path, POLICIES).allowed(reviewer, P.READ_CALLS)


@pytest.mark.parametrize(
    "text",
    [
        "permit (principal, action, resource",
        'permit (principal, action == Action::"rule_the_world", resource);',
        "permit (principal, action, resource) when { principal.boss };",
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_reason(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "access"
    folder.mkdir()
    (folder / "console.cedar").write_text(text)
    with pytest.raises(Misconfigured, match=r"console\.cedar"):
        CedarPermissions.load(tmp_path, POLICIES)
